// fastmag-embed: raw frames in, magnified raw frames out; or the ascent on raw float32 samples. See docs/cpp.md.
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <map>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "fastmag_embed.h"

namespace {

const char* const kUsage =
    "usage: fastmag-embed magnify MODEL --size WxH --fps F [--alpha A] [--chunk S] [--overlap S] [IN [OUT]]\n"
    "       fastmag-embed ascent MODEL --step-size G --steps N [IN [OUT]]\n"
    "\n"
    "magnify  MODEL is magnify.onnx; IN and OUT are raw video, rgb24: WxHx3 bytes a frame, no header.\n"
    "ascent   MODEL is ascent.onnx; IN and OUT are samples of X as raw float32 of this machine.\n"
    "IN and OUT are files or - (the default) for standard input and output.\n"
    "\n"
    "  --size WxH       width and height of a frame in pixels\n"
    "  --fps F          frames a second\n"
    "  --alpha A        the pulse grows (1 + A) times (10)\n"
    "  --chunk S        seconds that are looked at together (12); memory grows with it\n"
    "  --overlap S      seconds over which one chunk fades into the next (a third of a chunk)\n"
    "  --step-size G    gamma of the ascent\n"
    "  --steps N        N of the ascent: N - 1 updates\n"
    "  --runtime FILE   libonnxruntime.so, 1.21 or later (by default where the loader finds it)\n"
    "  --threads N      of ONNX Runtime (0: all cores)\n";

const std::vector<const char*> kOptions = {"--size",      "--fps",   "--alpha",   "--chunk",  "--overlap",
                                           "--step-size", "--steps", "--runtime", "--threads"};

struct Arguments {
  std::vector<std::string> words;
  std::map<std::string, std::string> options;

  std::string text(const std::string& name, const std::string& otherwise = "") const {
    const auto found = options.find(name);
    return found == options.end() ? otherwise : found->second;
  }

  double number(const std::string& name, double otherwise = std::nan("")) const {
    const std::string given = text(name);
    if (given.empty()) {
      if (std::isnan(otherwise)) throw fastmag::Error(name + " is missing: see fastmag-embed --help");
      return otherwise;
    }
    char* end = nullptr;
    const double value = std::strtod(given.c_str(), &end);
    if (*end != '\0' || !std::isfinite(value)) throw fastmag::Error(name + " must be a number; got " + given);
    return value;
  }

  int whole(const std::string& name, double otherwise = std::nan("")) const {
    const double value = number(name, otherwise);
    if (value != std::floor(value) || std::fabs(value) > 1e9)
      throw fastmag::Error(name + " must be a whole number; got " + text(name));
    return static_cast<int>(value);
  }
};

Arguments parse(int count, char** given) {
  Arguments arguments;
  for (int i = 1; i < count; ++i) {
    const std::string word = given[i];
    if (word.size() < 2 || word[0] != '-') {
      arguments.words.push_back(word);
      continue;
    }
    bool known = false;
    for (const char* option : kOptions) known = known || word == option;
    if (!known) throw fastmag::Error("unknown option " + word + ": see fastmag-embed --help");
    if (i + 1 == count) throw fastmag::Error(word + " needs a value: see fastmag-embed --help");
    arguments.options[word] = given[++i];
  }
  if (arguments.words.size() < 2 || arguments.words.size() > 4) {
    throw fastmag::Error("expected a command and a model, then at most IN and OUT: see fastmag-embed --help");
  }
  return arguments;
}

// A file, or a standard stream for "-". A regular file that is written appears whole, once it is closed.
class File {
 public:
  File(const std::string& path, bool write)
      : path_(path), shown_(path == "-" ? (write ? "standard output" : "standard input") : path) {
    std::error_code none;
    const auto status = std::filesystem::status(path, none);
    whole_ = write && path != "-" && (!std::filesystem::exists(status) || std::filesystem::is_regular_file(status));
    file_ = path == "-" ? (write ? stdout : stdin) : std::fopen(on_disk().c_str(), write ? "wb" : "rb");
    if (file_ == nullptr) throw fastmag::Error("cannot open " + shown_ + ": " + std::strerror(errno));
  }
  ~File() {
    if (file_ != nullptr && file_ != stdout && file_ != stdin) {
      std::fclose(file_);
      if (whole_) std::remove(on_disk().c_str());
    }
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  // How many bytes came; fewer than asked for only at the end.
  std::size_t read(void* into, std::size_t bytes) {
    const std::size_t count = std::fread(into, 1, bytes, file_);
    if (count < bytes && std::ferror(file_) != 0)
      throw fastmag::Error("cannot read " + shown_ + ": " + std::strerror(errno));
    return count;
  }
  void write(const void* from, std::size_t bytes) {
    if (std::fwrite(from, 1, bytes, file_) < bytes) fail();
  }
  void close() {
    if (std::fflush(file_) != 0) fail();
    if (file_ != stdout && std::fclose(std::exchange(file_, nullptr)) != 0) fail();
    if (whole_ && std::rename(on_disk().c_str(), path_.c_str()) != 0) fail();
  }

 private:
  [[noreturn]] void fail() const { throw fastmag::Error("cannot write " + shown_ + ": " + std::strerror(errno)); }
  std::string on_disk() const { return whole_ ? path_ + ".part" : path_; }
  std::string path_, shown_;
  bool whole_ = false;
  FILE* file_ = nullptr;
};

std::string place(const Arguments& arguments, std::size_t at) {
  return arguments.words.size() > at ? arguments.words[at] : "-";
}

void magnify(const Arguments& arguments) {
  fastmag::MagnifyOptions options;
  const std::string size = arguments.text("--size");
  char rest = 0;
  if (std::sscanf(size.c_str(), "%6dx%6d%c", &options.width, &options.height, &rest) != 2) {
    throw fastmag::Error("--size must be WIDTHxHEIGHT, such as 640x480; got " + (size.empty() ? "none" : size));
  }
  options.fps = arguments.number("--fps");
  options.alpha = arguments.number("--alpha", options.alpha);
  options.chunk_seconds = arguments.number("--chunk", options.chunk_seconds);
  options.overlap_seconds = arguments.number("--overlap", options.chunk_seconds / 3);
  const fastmag::Runtime runtime(arguments.text("--runtime"), arguments.whole("--threads", 0));
  fastmag::Magnifier magnifier(runtime, arguments.words[1], options);
  File in(place(arguments, 2), false), out(place(arguments, 3), true);
  std::vector<std::uint8_t> frame(magnifier.frame_bytes());
  const auto sink = [&](const std::uint8_t* done) { out.write(done, frame.size()); };
  std::size_t frames = 0, came = 0;
  for (; (came = in.read(frame.data(), frame.size())) == frame.size(); ++frames) magnifier.push(frame.data(), sink);
  if (came > 0) {
    throw fastmag::Error("the input ends within frame " + std::to_string(frames) + " (" + std::to_string(came) +
                         " of " + std::to_string(frame.size()) + " bytes): is --size right?");
  }
  magnifier.finish(sink);
  out.close();
  std::fprintf(stderr, "%zu frames; presence of a pulse by chunk:", frames);
  for (const float presence : magnifier.presence()) std::fprintf(stderr, " %.2f", static_cast<double>(presence));
  std::fprintf(stderr, "\n");
}

void ascend(const Arguments& arguments) {
  const auto step_size = static_cast<float>(arguments.number("--step-size"));
  const int steps = arguments.whole("--steps");
  const fastmag::Runtime runtime(arguments.text("--runtime"), arguments.whole("--threads", 0));
  fastmag::Ascent ascent(runtime, arguments.words[1]);
  File in(place(arguments, 2), false), out(place(arguments, 3), true);
  const std::size_t sample = ascent.sample_size() * sizeof(float);
  std::vector<float> x(64 * ascent.sample_size());
  std::size_t came = 0, samples = 0;
  while ((came = in.read(x.data(), x.size() * sizeof(float))) > 0) {
    if (came % sample != 0) {
      throw fastmag::Error("the input ends within sample " + std::to_string(samples + came / sample) + ": expected " +
                           std::to_string(sample) + " bytes a sample");
    }
    ascent.run(x.data(), came / sample, step_size, steps);
    out.write(x.data(), came);
    samples += came / sample;
  }
  out.close();
  std::fprintf(stderr, "%zu samples\n", samples);
}

int run(int count, char** given) {
  for (int i = 1; i < count; ++i) {
    if (std::strcmp(given[i], "--help") == 0 || std::strcmp(given[i], "-h") == 0) {
      std::fputs(kUsage, stdout);
      return 0;
    }
  }
  const Arguments arguments = parse(count, given);
  if (arguments.words[0] == "magnify") {
    magnify(arguments);
  } else if (arguments.words[0] == "ascent") {
    ascend(arguments);
  } else {
    throw fastmag::Error("the command must be magnify or ascent; got " + arguments.words[0]);
  }
  return 0;
}

}  // namespace

int main(int count, char** given) {
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is an error with a message
  try {
    return run(count, given);
  } catch (const fastmag::Error& error) {
    std::fprintf(stderr, "fastmag-embed: %s\n", error.what());
    return 2;
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "fastmag-embed: there is not enough memory for a chunk: make --chunk shorter\n");
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "fastmag-embed: %s\n", error.what());
    return 1;
  }
}
