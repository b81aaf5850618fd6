// Magnify video from C++: the graphs that `fastmag export` writes, run by ONNX Runtime, which is opened at run time.
// Errors are thrown as fastmag::Error (what was given is wrong) or another std::exception (a fault on the way).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace fastmag {

// What the caller gave is wrong: what, expected, remedy, in one line.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// An opened ONNX Runtime, 1.21 or later. It must outlive what is loaded with it.
class Runtime {
 public:
  // library: path or name of the shared library; empty for libonnxruntime.so.1 or libonnxruntime.so where the loader
  // finds them. threads: of one run; 0 for all cores.
  explicit Runtime(const std::string& library = "", int threads = 0);
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;
  std::string version() const;

  struct State;
  const State& state() const { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

struct MagnifyOptions {
  int width = 0, height = 0;   // of a frame, in pixels
  double fps = 30;             // frames a second
  double alpha = 10;           // the pulse grows (1 + alpha) times
  double chunk_seconds = 12;   // frames that are looked at together
  double overlap_seconds = 4;  // of two chunks, over which one fades into the other; at most half of a chunk
};

// magnify.onnx over a stream of any length: push() its frames in order, then finish() once.
//
// Chunks have N = round(chunk_seconds * fps) frames; each begins N - M after the last one, M = round(overlap_seconds *
// fps), and the very last one covers the last N frames of the stream. Where a chunk takes over, M frames fade:
// frame j = 0 .. M - 1 is (old * (M - j) + new * (j + 1)) / (M + 1), rounded half up. A stream of fewer than N frames
// is one chunk. 2 N + M frames are held, whatever the length of the stream.
class Magnifier {
 public:
  // frame: height * width * 3 bytes, RGB, as long as the call lasts.
  using Sink = std::function<void(const std::uint8_t* frame)>;

  Magnifier(const Runtime& runtime, const std::string& model, const MagnifyOptions& options);
  ~Magnifier();
  Magnifier(const Magnifier&) = delete;
  Magnifier& operator=(const Magnifier&) = delete;

  std::size_t frame_bytes() const;
  // Take one frame (copied); the sink gets the frames that are finished with it, in order.
  void push(const std::uint8_t* frame, const Sink& sink);
  // The stream has ended: the sink gets what is left.
  void finish(const Sink& sink);
  // Of every chunk so far: is there a pulse, 0 (left as it was) .. 1.
  const std::vector<float>& presence() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// ascent.onnx: n_steps - 1 updates of the paper's Algorithm 1 on samples of any number.
class Ascent {
 public:
  Ascent(const Runtime& runtime, const std::string& model);
  ~Ascent();
  Ascent(const Ascent&) = delete;
  Ascent& operator=(const Ascent&) = delete;

  // Numbers in one sample of X, e.g. 3 * 36 * 36.
  std::size_t sample_size() const;
  // X, `samples` * sample_size() numbers, becomes X_N.
  void run(float* x, std::size_t samples, float step_size, std::int64_t n_steps);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fastmag
