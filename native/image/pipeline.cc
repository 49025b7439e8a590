// One mutex guards the queue; it is taken twice for each sample, which costs nothing beside a millisecond of decoding.
#include "image/pipeline.h"

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <mutex>
#include <new>
#include <thread>
#include <utility>

#include "core/pages.h"
#include "image/photo.h"

#if !defined(_WIN32)
#include <csignal>
#endif

namespace googlenet {
namespace {

constexpr size_t kPooled = 4;

/** Memory of batches that were let go, all of one size while batches keep theirs. */
class MemoryPool : public std::enable_shared_from_this<MemoryPool> {
 public:
  ~MemoryPool() {
    for (const auto& [memory, size] : free_) std::free(memory);
  }
  BatchMemory get(size_t size) {
    char* memory = nullptr;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      for (auto it = free_.begin(); it != free_.end() && !memory; ++it) {
        if (it->second != size) continue;
        memory = it->first;
        free_.erase(it);
        break;
      }
    }
    if (!memory) memory = static_cast<char*>(allocate_pages(int64_t(size)));
    if (!memory) throw std::bad_alloc();
    return BatchMemory(memory, [pool = weak_from_this(), size](char* old) {
      if (const auto owner = pool.lock())
        owner->put(old, size);
      else
        std::free(old);
    });
  }

 private:
  void put(char* memory, size_t size) {
    std::lock_guard<std::mutex> lock(mutex_);
    free_.emplace_back(memory, size);
    if (free_.size() <= kPooled) return;
    std::free(free_.front().first);
    free_.pop_front();
  }
  std::mutex mutex_;
  std::deque<std::pair<char*, size_t>> free_;
};

struct Job {
  std::vector<Sample> samples;
  uint32_t epoch = 0;
  size_t next = 0, left = 0;     // guarded by the pipeline's mutex
  Code code = Code::OK;          // the same
  std::string message;           // the same
  BatchMemory images;            // the same; allocated by the first thread that comes
  std::vector<gn_photo> photos;  // one slot a sample, for photos; each is a thread's own
  std::vector<Skipped> failed;   // one slot a sample; code OK: it is in the batch
  std::unique_ptr<Batch> batch;  // the pipeline's mutex; made by the thread that finished the last sample
  bool finished = false;         // the same
};

/** Closes the gaps: those that failed samples left, and behind photos, of which no two take the same room. */
std::unique_ptr<Batch> finish(Job& job, const AugmentPolicy& policy) {
  auto batch = std::make_unique<Batch>();
  batch->images = std::move(job.images);
  char* const memory = batch->images.get();
  const int pushed = int(job.samples.size());
  const size_t image = policy.floats() * sizeof(float);
  BlockWriter block(memory, pushed, policy.size);
  for (size_t i = 0; i < job.samples.size(); i++) {
    if (job.failed[i].code != Code::OK) {
      batch->skipped.push_back(std::move(job.failed[i]));
      continue;
    }
    if (!job.photos.empty())
      block.add(job.photos[i], memory + part_at(int64_t(i), pushed, policy.size));
    else if (size_t(batch->count) != i)
      std::memcpy(memory + size_t(batch->count) * image, memory + i * image, image);
    batch->count++;
    batch->labels.push_back(job.samples[i].label);
    batch->indices.push_back(job.samples[i].index);
  }
  batch->bytes = job.photos.empty() ? size_t(batch->count) * image : size_t(block.finish());
  return batch;
}

}  // namespace

struct Pipeline::State {
  AugmentPolicy policy;
  Form form = Form::IMAGES;
  uint64_t seed = 0;
  std::function<void()> ready;
  std::shared_ptr<MemoryPool> pool = std::make_shared<MemoryPool>();

  mutable std::mutex mutex;
  std::condition_variable work;
  std::deque<std::shared_ptr<Job>> jobs;  // in order of submission, finished ones until they are taken
  std::atomic<bool> stop{false};
  int running = 0;
  bool broken = false;
  std::vector<std::thread> threads;

  /** The next sample nobody has, or null when it is time to end. */
  std::shared_ptr<Job> next_sample(size_t& i) {
    std::unique_lock<std::mutex> lock(mutex);
    for (;;) {
      if (stop.load()) return nullptr;
      for (const auto& job : jobs) {
        if (job->next >= job->samples.size()) continue;
        if (!job->images) allocate(*job);
        i = job->next++;
        return job;
      }
      work.wait(lock);
    }
  }

  void allocate(Job& job) {
    const size_t count = job.samples.size();
    try {
      if (form == Form::PHOTOS) job.photos.resize(count);
      job.images = pool->get(form == Form::PHOTOS ? size_t(part_at(int64_t(count), int64_t(count), policy.size))
                                                  : policy.floats() * sizeof(float) * count);
    } catch (const std::bad_alloc&) {
      fail(job, Code::OUT_OF_MEMORY, "no memory for a batch of " + std::to_string(count) + " images");
    }
  }

  static void fail(Job& job, Code code, const std::string& message) {
    if (job.code != Code::OK) return;
    job.code = code;
    job.message = message;
  }

  void process(Job& job, size_t i, ByteBuffer& file, JpegDecoder& decoder, RenderScratch& scratch) {
    const Sample& sample = job.samples[i];
    const size_t size = read_jpeg_file(sample.path, file);
    decoder.open(file.data(), size);
    const SampleKey key{seed, job.epoch, uint32_t(sample.index)};
    const Drawn drawn = draw(policy, decoder.width(), decoder.height(), key);
    const int shrink = shrink_for(policy, drawn.placement);
    const Region whole{0, 0, decoder.width(), decoder.height()};
    const Region& needed = policy.crop == AugmentPolicy::Crop::AREA ? drawn.placement.bounds : whole;
    const Pixels pixels = decoder.decode_region(needed, shrink);
    char* const memory = job.images.get();
    if (form == Form::PHOTOS) {
      char* const part = memory + part_at(int64_t(i), int64_t(job.samples.size()), policy.size);
      job.photos[i] = pack_photo(drawn, policy.size, pixels, shrink, scratch, part);
    } else {
      render(drawn, policy.size, pixels, shrink, scratch, reinterpret_cast<float*>(memory) + i * policy.floats());
    }
  }

  void run() {
    ByteBuffer file;
    JpegDecoder decoder(&stop);
    RenderScratch scratch;
    size_t i = 0;
    while (const std::shared_ptr<Job> job = next_sample(i)) {
      Code batch_code = Code::OK;
      std::string message;
      try {
        // A failed batch is only counted down. Its memory may be missing.
        if (job->images) process(*job, i, file, decoder, scratch);
      } catch (const Failure& failure) {
        if (failure.code == Code::OUT_OF_MEMORY) {
          batch_code = failure.code;
          message = job->samples[i].path + ": " + failure.what();
        } else {
          job->failed[i] = {job->samples[i].path, job->samples[i].index, failure.code, failure.what()};
        }
      } catch (const std::bad_alloc&) {
        batch_code = Code::OUT_OF_MEMORY;
        message = job->samples[i].path + ": no memory to decode it";
      } catch (const std::exception& error) {
        batch_code = Code::INTERNAL;
        message = job->samples[i].path + ": " + error.what();
      }
      bool last;
      {
        std::lock_guard<std::mutex> lock(mutex);
        if (batch_code != Code::OK) fail(*job, batch_code, message);
        last = --job->left == 0;
      }
      if (last) complete(*job);
    }
  }

  /** By the thread that did the last sample. */
  void complete(Job& job) {
    std::unique_ptr<Batch> batch;
    try {
      if (job.images) batch = finish(job, policy);
    } catch (const std::bad_alloc&) {  // the job's own message stays empty rather than be allocated
    }
    {
      std::lock_guard<std::mutex> lock(mutex);
      if (!batch && job.code == Code::OK) job.code = Code::OUT_OF_MEMORY;
      job.batch = std::move(batch);
      job.finished = true;
    }
    ready();
  }

  /** A thread's whole life; nothing is thrown out of it. */
  void live() {
    try {
      run();
    } catch (const std::exception&) {  // not even a decoder could be made; the others go on
    }
    {
      std::lock_guard<std::mutex> lock(mutex);
      if (--running == 0 && !stop.load()) {
        broken = true;  // nobody is left: every batch says so rather than hang
        for (const auto& job : jobs) {
          if (!job->finished) fail(*job, Code::OUT_OF_MEMORY, "no decoding thread is left");
          job->finished = true;
        }
      }
    }
    ready();
  }
};

Pipeline::Pipeline(const AugmentPolicy& policy, Form form, uint64_t seed, int threads, std::function<void()> ready)
    : state_(new State) {
  policy.check();
  if (threads < 1 || threads > 1024) throw Failure(Code::INVALID_ARGUMENT, "threads must be in [1, 1024]");
  State& s = *state_;
  s.policy = policy;
  s.form = form;
  s.seed = seed;
  s.ready = std::move(ready);
#if !defined(_WIN32)
  sigset_t all, before;  // signals are the host program's: none is delivered to a decoding thread
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
#endif
  try {
    std::lock_guard<std::mutex> lock(s.mutex);
    for (int t = 0; t < threads; t++) {
      s.threads.emplace_back([&s] { s.live(); });
      s.running++;
    }
  } catch (const std::exception&) {  // the system gives no more threads: go on with those there are
  }
#if !defined(_WIN32)
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
#endif
  if (s.threads.empty()) throw Failure(Code::OUT_OF_MEMORY, "no decoding thread could be started");
}

Pipeline::~Pipeline() {
  stop();
  for (std::thread& thread : state_->threads) thread.join();
}

void Pipeline::push(std::vector<Sample> samples, uint32_t epoch) {
  State& s = *state_;
  if (samples.empty()) throw Failure(Code::INVALID_ARGUMENT, "a batch holds at least one sample");
  auto job = std::make_shared<Job>();
  job->left = samples.size();
  job->failed.resize(samples.size(), Skipped{"", 0, Code::OK, ""});
  job->samples = std::move(samples);
  job->epoch = epoch;
  {
    std::lock_guard<std::mutex> lock(s.mutex);
    if (s.stop.load()) throw Failure(Code::DISPOSED, "this Pipeline was disposed of");
    if (s.broken) throw Failure(Code::OUT_OF_MEMORY, "no decoding thread is left");
    s.jobs.push_back(std::move(job));
  }
  s.work.notify_all();
}

int64_t Pipeline::queued() const {
  std::lock_guard<std::mutex> lock(state_->mutex);
  return int64_t(state_->jobs.size());
}

std::unique_ptr<Batch> Pipeline::take() {
  State& s = *state_;
  std::shared_ptr<Job> job;
  {
    std::lock_guard<std::mutex> lock(s.mutex);
    if (s.jobs.empty() || !s.jobs.front()->finished) return nullptr;
    job = std::move(s.jobs.front());
    s.jobs.pop_front();
  }
  if (job->code != Code::OK) throw Failure(job->code, job->message);
  return std::move(job->batch);
}

void Pipeline::stop() {
  {
    std::lock_guard<std::mutex> lock(state_->mutex);
    state_->stop.store(true);
  }
  state_->work.notify_all();
}

bool Pipeline::stopped() const {
  std::lock_guard<std::mutex> lock(state_->mutex);
  return state_->stop.load() && state_->running == 0;
}

}  // namespace googlenet
