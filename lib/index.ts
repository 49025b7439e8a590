/** The public names of the package. */
export { type AugmentPolicy, policies } from './data/augment.js'
export { ImageFolder, type LabelledImage, type OpenOptions } from './data/dataset.js'
export { type LoadedBatch, Loader, type LoaderOptions } from './data/loader.js'
export type { Photos, Rendered, Rendering } from './data/rendering.js'
export { type Device, type DeviceInfo, devices } from './device.js'
export { AbortError, type ErrorCode, GoogLeNetError } from './errors.js'
export type { CalibrateOptions, CalibrationImages } from './model/calibrate.js'
export type { Crops } from './model/crops.js'
export { type EvaluateOptions, evaluate } from './model/evaluate.js'
export type { Dropout, NetworkOptions } from './model/googlenet.js'
export type { Batch, BatchImages, ImageInput, ImageTensor, RgbImage } from './model/images.js'
export { GoogLeNet } from './model/model.js'
export type {
  CreateOptions,
  FeatureOptions,
  Features,
  Guess,
  ModelOptions,
  PredictOptions,
  StepOptions,
  StepOutcome,
} from './model/model-options.js'
export type { Summary } from './model/summary.js'
export type { BlobCalibration, KernelInfo, LayerInfo, Precision } from './native.js'
export { type Average, average } from './train/average.js'
export type { CheckpointEvent, EpochEvent, FitEvent, SkipEvent, StepEvent, WorkerEvent } from './train/events.js'
export type { FitOptions } from './train/fit-options.js'
export type { ClassEvaluation, Evaluation } from './train/metrics.js'
export {
  type AdagradOptions,
  adagrad,
  nesterov,
  type Optimizer,
  type RmspropOptions,
  rmsprop,
  type SgdOptions,
  sgd,
} from './train/optimizer.js'
export { type Run, type Schedule, schedules } from './train/schedule.js'
export type { StalenessSummary } from './train/staleness.js'
export type { Computed, ComputeOptions, Pushed, PushOptions, Worker } from './train/worker.js'
export type { WorkerOptions } from './train/worker-options.js'
export type { Calibration } from './weights/calibration.js'
