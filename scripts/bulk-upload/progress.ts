/** How far the upload is: a bar where there is a terminal, else a line every few seconds. */
import { Presets, SingleBar } from 'cli-progress';

export type Progress = { stop(): void };

/** `bytes` is how much of the file was read; the others are items. */
export type Standing = {
  readonly bytes: number;
  readonly written: number;
  readonly kept: number;
  readonly rejected: number;
};

export type ProgressOptions = {
  /** Where the bar is drawn. */
  readonly terminal: NodeJS.WritableStream | undefined;
  readonly line: (text: string) => void;
  readonly everyMs: number;
  readonly totalBytes: number;
  readonly standing: () => Standing;
};

const BAR_EVERY_MS = 200;

/** Rates are of the last so many seconds. */
const WINDOW_MS = 5_000;

const FORMAT = '{bar} {percentage} % | {rate} items/s | {left} left | {written} written, {rejected} rejected';

export function startProgress(options: ProgressOptions): Progress {
  const { terminal, line, everyMs, totalBytes, standing } = options;
  const measure = createMeasure(totalBytes, standing);
  if (!terminal) {
    const tell = () => {
      const { percentage, rate, left, written, rejected } = measure();
      line(`${percentage} % read, ${rate} items/s, ${left} left, ${written} written, ${rejected} rejected\n`);
    };
    const timer = setInterval(tell, everyMs);
    return { stop: () => clearInterval(timer) };
  }
  const bar = new SingleBar(
    { stream: terminal, format: FORMAT, barsize: 20, linewrap: false, gracefulExit: false },
    Presets.shades_classic,
  );
  const draw = () => bar.update(standing().bytes, measure());
  bar.start(totalBytes, 0, measure());
  const timer = setInterval(draw, BAR_EVERY_MS);
  return {
    stop() {
      clearInterval(timer);
      draw();
      bar.stop();
    },
  };
}

function createMeasure(totalBytes: number, standing: () => Standing) {
  const past: { atMs: number; bytes: number; done: number }[] = [];
  return () => {
    const { bytes, written, kept, rejected } = standing();
    const done = written + kept + rejected;
    const atMs = performance.now();
    past.push({ atMs, bytes, done });
    while (past.length > 2 && (past[1]?.atMs ?? atMs) < atMs - WINDOW_MS) past.shift();
    const first = past[0] ?? { atMs, bytes, done };
    const seconds = (atMs - first.atMs) / 1000;
    const bytesPerSecond = (bytes - first.bytes) / seconds;
    return {
      percentage: Math.floor((100 * bytes) / totalBytes),
      rate: seconds > 0 ? Math.round((done - first.done) / seconds).toLocaleString('en') : '0',
      left: toDuration((totalBytes - bytes) / bytesPerSecond),
      written: written.toLocaleString('en'),
      rejected: rejected.toLocaleString('en'),
    };
  };
}

/** `1 h 02 min`, `3 min 04 s`, `5 s`. */
function toDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '–';
  const [hours, minutes, rest] = [seconds / 3600, (seconds / 60) % 60, seconds % 60].map(Math.floor) as [
    number,
    number,
    number,
  ];
  const two = (value: number) => String(value).padStart(2, '0');
  if (hours > 0) return `${hours} h ${two(minutes)} min`;
  return minutes > 0 ? `${minutes} min ${two(rest)} s` : `${rest} s`;
}
