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

#if !defined(_WIN32)
#include <csignal>
#endif

namespace googlenet {
namespace {

constexpr size_t kPooled = 4;

/** Memory of batches that were let go, all of one size while batches keep theirs. */
class FloatPool : public std::enable_shared_from_this<FloatPool> {
 public:
  ~FloatPool() {
    for (const auto& [memory, count] : free_) std::free(memory);
  }
  Floats get(size_t count) {
    float* memory = nullptr;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      for (auto it = free_.begin(); it != free_.end() && !memory; ++it) {
        if (it->second != count) continue;
        memory = it->first;
        free_.erase(it);
        break;
      }
    }
    if (!memory) memory = static_cast<float*>(allocate_pages(int64_t(count * sizeof(float))));
    if (!memory) throw std::bad_alloc();
    return Floats(memory, [pool = weak_from_this(), count](float* old) {
      if (const auto owner = pool.lock())
        owner->put(old, count);
      else
        std::free(old);
    });
  }

 private:
  void put(float* memory, size_t count) {
    std::lock_guard<std::mutex> lock(mutex_);
    free_.emplace_back(memory, count);
    if (free_.size() <= kPooled) return;
    std::free(free_.front().first);
    free_.pop_front();
  }
  std::mutex mutex_;
  std::deque<std::pair<float*, size_t>> free_;
};

struct Job {
  std::vector<Sample> samples;
  uint32_t epoch = 0;
  size_t next = 0, left = 0;     // guarded by the pipeline's mutex
  Code code = Code::OK;          // the same
  std::string message;           // the same
  Floats images;                 // the same; allocated by the first thread that comes
  std::vector<Skipped> failed;   // one slot a sample; code OK: it is in the batch
  std::unique_ptr<Batch> batch;  // the pipeline's mutex; made by the thread that finished the last sample
  bool finished = false;         // the same
};

/** Closes the gaps that failed samples left. */
std::unique_ptr<Batch> finish(Job& job, size_t floats) {
  auto batch = std::make_unique<Batch>();
  batch->images = std::move(job.images);
  for (size_t i = 0; i < job.samples.size(); i++) {
    if (job.failed[i].code != Code::OK) {
      batch->skipped.push_back(std::move(job.failed[i]));
      continue;
    }
    if (size_t(batch->count) != i)
      std::memcpy(&batch->images[size_t(batch->count) * floats], &batch->images[i * floats], floats * sizeof(float));
    batch->count++;
    batch->labels.push_back(job.samples[i].label);
    batch->indices.push_back(job.samples[i].index);
  }
  return batch;
}

}  // namespace

struct Pipeline::State {
  AugmentPolicy policy;
  uint64_t seed;
  std::function<void()> ready;
  std::shared_ptr<FloatPool> pool = std::make_shared<FloatPool>();

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
    try {
      job.images = pool->get(policy.floats() * job.samples.size());
    } catch (const std::bad_alloc&) {
      fail(job, Code::OUT_OF_MEMORY, "no memory for a batch of " + std::to_string(job.samples.size()) + " images");
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
    const Placement placement = place(policy, decoder.width(), decoder.height(), key);
    const int shrink = shrink_for(policy, placement);
    const Region whole{0, 0, decoder.width(), decoder.height()};
    const Region& needed = policy.crop == AugmentPolicy::Crop::AREA ? placement.bounds : whole;
    const Pixels pixels = decoder.decode_region(needed, shrink);
    render(policy, placement, pixels, shrink, key, scratch, &job.images[i * policy.floats()]);
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
      if (job.images) batch = finish(job, policy.floats());
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

Pipeline::Pipeline(const AugmentPolicy& policy, uint64_t seed, int threads, std::function<void()> ready)
    : state_(new State) {
  policy.check();
  if (threads < 1 || threads > 1024) throw Failure(Code::INVALID_ARGUMENT, "threads must be in [1, 1024]");
  State& s = *state_;
  s.policy = policy;
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
