/**
 * `npm run bench`: measurements, by name. Whatever is compared is measured by turns or side by side in one run, on one machine.
 */
import { parseArgs } from 'node:util';
import type { BenchOptions } from './bench/figures.ts';
import { benchFrames } from './bench/frames.ts';
import { benchHostileBodies } from './bench/hostile-bodies.ts';
import { benchSimilar } from './bench/similar.ts';

const subjects: Readonly<Record<string, (options: BenchOptions) => Promise<void>>> = {
  'hostile-bodies': benchHostileBodies,
  frames: benchFrames,
  similar: benchSimilar,
};

const help = `npm run bench -- [subject …] [options]

  hostile-bodies   gaps between the tokens of 20 streams, beside hostile requests and without
  frames           a long answer as WebSocket frames, and as one frame for each token
  similar          what looking for similar questions adds, while the search is well and while it is not

  --rounds N       how often each is measured (5)
  --seconds N      how long a phase of hostile-bodies takes (5)
  --help           this text

Without a subject all of them run.
`;

/** The exit code: 2 when the command was none. */
async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '5' },
      help: { type: 'boolean' },
    },
  });
  const names = positionals.length > 0 ? positionals : Object.keys(subjects);
  const unknown = names.filter((name) => !Object.hasOwn(subjects, name));
  const options = { rounds: Number(values.rounds), seconds: Number(values.seconds) };
  const isWrong = unknown.length > 0 || !(options.rounds >= 1) || !(options.seconds > 0);
  if (values.help || isWrong) {
    console.log(help);
    return isWrong ? 2 : 0;
  }
  for (const name of names) await subjects[name]?.(options);
  return 0;
}

process.exitCode = await main();
