#include "fastmag_embed.h"

#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <fstream>

#define ORT_API_MANUAL_INIT  // the library is opened by hand, so that one program runs with any of its versions
#include <onnxruntime_cxx_api.h>

namespace fastmag {
namespace {

constexpr std::uint32_t kApi = ORT_API_VERSION < 21 ? ORT_API_VERSION : 21;  // later versions answer it too
constexpr std::size_t kBatch = 64;                                           // samples of one ascent

std::string number(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%g", value);
  return text.data();
}

std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text.size() > 300 ? text.substr(0, 300) + " ..." : text;
}

// What a graph takes or gives: a name, a type and a number of axes.
struct End {
  const char* name;
  ONNXTensorElementDataType type;
  std::size_t rank;
};

bool has(Ort::Session& session, bool input, const End& end) {
  Ort::AllocatorWithDefaultOptions allocator;
  const std::size_t count = input ? session.GetInputCount() : session.GetOutputCount();
  for (std::size_t i = 0; i < count; ++i) {
    const auto name =
        input ? session.GetInputNameAllocated(i, allocator) : session.GetOutputNameAllocated(i, allocator);
    if (std::strcmp(name.get(), end.name) != 0) continue;
    const Ort::TypeInfo type = input ? session.GetInputTypeInfo(i) : session.GetOutputTypeInfo(i);
    if (type.GetONNXType() != ONNX_TYPE_TENSOR) return false;
    const auto tensor = type.GetTensorTypeAndShapeInfo();
    return tensor.GetElementType() == end.type && (input ? tensor.GetDimensionsCount() == end.rank : true);
  }
  return false;
}

template <typename T>
Ort::Value tensor_of(T* data, std::size_t count, const std::vector<std::int64_t>& shape) {
  const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  return Ort::Value::CreateTensor<T>(memory, data, count, shape.data(), shape.size());
}

}  // namespace

struct Runtime::State {
  void* library = nullptr;
  const OrtApiBase* base = nullptr;
  std::unique_ptr<Ort::Env> env;
  int threads = 0;

  ~State() {
    env.reset();
    if (library != nullptr) dlclose(library);
  }

  // A session whose ends are as expected; `made_by` says what writes such a file.
  Ort::Session load(const std::string& model, const std::vector<End>& inputs, const End& output,
                    const std::string& made_by) const {
    if (!std::ifstream(model, std::ios::binary))
      throw Error("cannot read the model " + model + ": give the path of " + made_by);
    Ort::SessionOptions options;
    options.SetIntraOpNumThreads(threads);
    options.SetLogSeverityLevel(ORT_LOGGING_LEVEL_FATAL);
    Ort::Session session{nullptr};
    try {
      session = Ort::Session(*env, model.c_str(), options);
    } catch (const Ort::Exception& error) {
      throw Error("cannot load the model " + model + " (" + one_line(error.what()) + "): give " + made_by);
    }
    bool fits = has(session, false, output);
    for (const End& end : inputs) fits = fits && has(session, true, end);
    if (!fits) throw Error(model + " has other inputs or outputs than expected: give " + made_by);
    return session;
  }
};

Runtime::Runtime(const std::string& library, int threads) : state_(std::make_unique<State>()) {
  if (threads < 0) throw Error("threads must be 0 (all cores) or more; got " + std::to_string(threads));
  state_->threads = threads;
  const std::vector<std::string> names = library.empty()
                                             ? std::vector<std::string>{"libonnxruntime.so.1", "libonnxruntime.so"}
                                             : std::vector<std::string>{library};
  std::string reason;
  for (const std::string& name : names) {
    state_->library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (state_->library != nullptr) break;
    const char* said = dlerror();
    reason += (reason.empty() ? "" : "; ") + std::string(said != nullptr ? said : name);
  }
  if (state_->library == nullptr) {
    throw Error("cannot open ONNX Runtime (" + reason + "): give the path of libonnxruntime.so");
  }
  using GetBase = const OrtApiBase* (*)();
  GetBase get_base = nullptr;
  void* found = dlsym(state_->library, "OrtGetApiBase");
  std::memcpy(&get_base, &found, sizeof found);
  if (get_base == nullptr) throw Error(library + " is not ONNX Runtime: give the path of libonnxruntime.so");
  state_->base = get_base();
  const OrtApi* api = state_->base->GetApi(kApi);
  if (api == nullptr) throw Error("ONNX Runtime " + version() + " is too old: use 1.21 or later");
  Ort::InitApi(api);
  state_->env = std::make_unique<Ort::Env>(ORT_LOGGING_LEVEL_FATAL, "fastmag");
}

Runtime::~Runtime() = default;

std::string Runtime::version() const { return state_->base->GetVersionString(); }

struct Magnifier::State {
  Ort::Session session{nullptr};
  MagnifyOptions options;
  std::size_t bytes = 0;                   // of a frame
  std::size_t chunk = 0, overlap = 0;      // frames
  std::size_t least = 0;                   // frames that a chunk must have
  std::size_t held = 0, fresh = 0;         // frames in `input`; those of them that no chunk has had yet
  std::vector<std::uint8_t> input;         // a ring while it fills, oldest frame first when a chunk is run
  std::vector<std::uint8_t> output, kept;  // the last chunk, magnified; its last frames, which the next one fades from
  std::vector<float> presence;
  bool started = false, finished = false;

  void open(const Runtime& runtime, const std::string& model);
  void check() const;
  void run(const Sink& sink, bool last);
  void fade(std::size_t at);
};

void Magnifier::State::open(const Runtime& runtime, const std::string& model) {
  const std::string made_by = "the magnify.onnx that fastmag export writes";
  session = runtime.state().load(model,
                                 {{"frames", ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8, 4},
                                  {"alpha", ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, 0},
                                  {"fps", ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, 0}},
                                 {"magnified", ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8, 4}, made_by);
  Ort::AllocatorWithDefaultOptions allocator;
  const auto metadata = session.GetModelMetadata();
  const auto seconds = metadata.LookupCustomMetadataMapAllocated("seconds", allocator);
  const auto passband = metadata.LookupCustomMetadataMapAllocated("passband", allocator);
  double shortest = 0, low = 0, high = 0;
  if (!seconds || !passband || std::sscanf(seconds.get(), "%lf", &shortest) != 1 ||
      std::sscanf(passband.get(), "%lf %lf", &low, &high) != 2) {
    throw Error(model + " does not say what it was made for: give " + made_by);
  }
  if (!(options.fps > 2 * high)) {
    throw Error("fps must be above " + number(2 * high) + ", twice the passband's upper end; got " +
                number(options.fps) + ": use a faster recording");
  }
  least = static_cast<std::size_t>(std::ceil(shortest * options.fps)) + 1;
}

void Magnifier::State::check() const {
  const auto& o = options;
  if (o.width < 1 || o.height < 1 || o.width > 65536 || o.height > 65536) {
    throw Error("a frame must have 1 to 65536 pixels a side; got " + std::to_string(o.width) + "x" +
                std::to_string(o.height));
  }
  if (!(o.fps > 0 && o.fps <= 100000)) throw Error("fps must be above 0; got " + number(o.fps));
  if (!(o.alpha >= 0 && o.alpha <= 1e6)) throw Error("alpha must be a number from 0 on; got " + number(o.alpha));
  if (!(o.chunk_seconds > 0 && o.chunk_seconds * o.fps < 1e6)) {
    throw Error("a chunk must be longer than 0 s and shorter than a million frames; got " + number(o.chunk_seconds) +
                " s");
  }
  if (!(o.overlap_seconds >= 0 && o.overlap_seconds <= o.chunk_seconds / 2)) {
    throw Error("the overlap must be from 0 to half of a chunk (" + number(o.chunk_seconds / 2) + " s); got " +
                number(o.overlap_seconds) + " s");
  }
}

// Fade from `kept` into `output`, beginning with its frame `at`.
void Magnifier::State::fade(std::size_t at) {
  for (std::size_t j = 0; j < overlap; ++j) {
    const auto fresh_share = static_cast<std::uint32_t>(j + 1), whole = static_cast<std::uint32_t>(overlap + 1);
    std::uint8_t* into = output.data() + (at + j) * bytes;
    const std::uint8_t* from = kept.data() + j * bytes;
    for (std::size_t i = 0; i < bytes; ++i) {
      const std::uint32_t sum = from[i] * (whole - fresh_share) + into[i] * fresh_share;
      into[i] = static_cast<std::uint8_t>((2 * sum + whole) / (2 * whole));
    }
  }
}

void Magnifier::State::run(const Sink& sink, bool last) {
  const auto turn = static_cast<std::ptrdiff_t>(held == chunk && started ? fresh * bytes : 0);
  std::rotate(input.begin(), input.begin() + turn, input.end());
  const std::vector<std::int64_t> shape = {static_cast<std::int64_t>(held), options.height, options.width, 3};
  auto alpha = static_cast<float>(options.alpha), fps = static_cast<float>(options.fps), found = 0.0F;
  output.resize(held * bytes);
  const std::array<const char*, 3> inputs = {"frames", "alpha", "fps"};
  const std::array<const char*, 2> outputs = {"magnified", "presence"};
  const std::array<Ort::Value, 3> given = {tensor_of(input.data(), held * bytes, shape), tensor_of(&alpha, 1, {}),
                                           tensor_of(&fps, 1, {})};
  std::array<Ort::Value, 2> made = {tensor_of(output.data(), held * bytes, shape), tensor_of(&found, 1, {})};
  session.Run(Ort::RunOptions{nullptr}, inputs.data(), given.data(), given.size(), outputs.data(), made.data(),
              made.size());
  presence.push_back(found);

  const std::size_t begin = started ? chunk - overlap - fresh : 0;
  if (started) fade(begin);
  const std::size_t end = last ? held : held - overlap;
  for (std::size_t t = begin; t < end; ++t) sink(output.data() + t * bytes);
  kept.assign(output.begin() + static_cast<std::ptrdiff_t>(end * bytes), output.end());
  started = true;
  fresh = 0;
}

Magnifier::Magnifier(const Runtime& runtime, const std::string& model, const MagnifyOptions& options)
    : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.options = options;
  s.check();
  s.open(runtime, model);
  s.bytes = static_cast<std::size_t>(options.width) * static_cast<std::size_t>(options.height) * 3;
  s.chunk = static_cast<std::size_t>(std::lround(options.chunk_seconds * options.fps));
  s.overlap = std::min(static_cast<std::size_t>(std::lround(options.overlap_seconds * options.fps)), s.chunk / 2);
  if (s.chunk < s.least) {
    throw Error("a chunk must have at least " + std::to_string(s.least) + " frames at " + number(options.fps) +
                " fps; got " + std::to_string(s.chunk) + ": make it longer");
  }
}

Magnifier::~Magnifier() = default;

std::size_t Magnifier::frame_bytes() const { return state_->bytes; }

const std::vector<float>& Magnifier::presence() const { return state_->presence; }

void Magnifier::push(const std::uint8_t* frame, const Sink& sink) {
  State& s = *state_;
  if (s.finished) throw Error("the stream has been finished: make another Magnifier");
  if (s.held < s.chunk) {
    s.input.insert(s.input.end(), frame, frame + s.bytes);
    ++s.held;
  } else {
    std::memcpy(s.input.data() + s.fresh * s.bytes, frame, s.bytes);
  }
  ++s.fresh;
  if (s.fresh == (s.started ? s.chunk - s.overlap : s.chunk)) s.run(sink, false);
}

void Magnifier::finish(const Sink& sink) {
  State& s = *state_;
  if (s.finished) return;
  s.finished = true;
  if (s.held < s.least) {
    throw Error("the stream has " + std::to_string(s.held) + " frames, expected at least " + std::to_string(s.least) +
                " at " + number(s.options.fps) + " fps: use a longer one");
  }
  if (s.fresh > 0) {
    s.run(sink, true);
  } else {
    for (std::size_t t = 0; t < s.overlap; ++t) sink(s.kept.data() + t * s.bytes);
  }
}

struct Ascent::State {
  Ort::Session session{nullptr};
  std::vector<std::int64_t> shape;  // of a batch; its first axis is set for every run
  std::size_t size = 1;
};

Ascent::Ascent(const Runtime& runtime, const std::string& model) : state_(std::make_unique<State>()) {
  State& s = *state_;
  const std::string made_by = "the ascent.onnx that fastmag export writes";
  s.session = runtime.state().load(
      model,
      {{"step_size", ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, 0}, {"n_steps", ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64, 0}},
      {"X_N", ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, 0}, made_by);
  Ort::AllocatorWithDefaultOptions allocator;
  for (std::size_t i = 0; i < s.session.GetInputCount(); ++i) {
    if (std::strcmp(s.session.GetInputNameAllocated(i, allocator).get(), "X") != 0) continue;
    s.shape = s.session.GetInputTypeInfo(i).GetTensorTypeAndShapeInfo().GetShape();
  }
  for (std::size_t axis = 1; axis < s.shape.size(); ++axis) {
    if (s.shape[axis] < 1) throw Error(model + " leaves the size of a sample open: give " + made_by);
    s.size *= static_cast<std::size_t>(s.shape[axis]);
  }
  if (s.shape.size() < 2) throw Error(model + " has no input X (batch, ...): give " + made_by);
}

Ascent::~Ascent() = default;

std::size_t Ascent::sample_size() const { return state_->size; }

void Ascent::run(float* x, std::size_t samples, float step_size, std::int64_t n_steps) {
  State& s = *state_;
  if (!(step_size >= 0 && std::isfinite(step_size)))
    throw Error("the step size must be a number from 0 on; got " + number(step_size));
  if (n_steps < 1) throw Error("n_steps must be at least 1; got " + std::to_string(n_steps));
  const std::array<const char*, 3> inputs = {"X", "step_size", "n_steps"};
  const char* output = "X_N";
  for (std::size_t start = 0; start < samples; start += kBatch) {
    const std::size_t count = std::min(kBatch, samples - start) * s.size;
    s.shape[0] = static_cast<std::int64_t>(count / s.size);
    float* part = x + start * s.size;
    const std::array<Ort::Value, 3> given = {tensor_of(part, count, s.shape), tensor_of(&step_size, 1, {}),
                                             tensor_of(&n_steps, 1, {})};
    const auto made = s.session.Run(Ort::RunOptions{nullptr}, inputs.data(), given.data(), given.size(), &output, 1);
    std::memcpy(part, made[0].GetTensorData<float>(), count * sizeof(float));
  }
}

}  // namespace fastmag
