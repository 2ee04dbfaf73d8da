/**
 * `npm run bundles`: how large the functions are and what is in them. Exits with 1 when something is in them that does not belong there.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { type Bundle, bundle, type Entry } from '../cdk/bundle.ts';

const entries: readonly Entry[] = ['http', 'websocket', 'authorizer'];

type Locked = { readonly dev?: boolean; readonly devOptional?: boolean };

/** Package → bytes of it in the bundle, the largest first; our own code is `src`. */
export function contentsOf({ metafile }: Bundle): ReadonlyMap<string, number> {
  const sizes = new Map<string, number>();
  for (const { inputs } of Object.values(metafile.outputs)) {
    for (const [path, { bytesInOutput }] of Object.entries(inputs)) {
      const owner = packageOf(path) ?? 'src';
      sizes.set(owner, (sizes.get(owner) ?? 0) + bytesInOutput);
    }
  }
  return new Map([...sizes].filter(([, bytes]) => bytes > 0).sort(([, one], [, other]) => other - one));
}

/** Files that have no business in a function: the laptop's, and those of packages that only development needs. */
export function strangersIn(
  { metafile }: Pick<Bundle, 'metafile'>,
  locked: Readonly<Record<string, Locked>>,
): string[] {
  return Object.keys(metafile.inputs).filter((path) => {
    if (path.startsWith('src/')) return path.startsWith('src/local/');
    const folder = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0];
    const known = folder === undefined ? undefined : locked[folder];
    return !known || known.dev === true || known.devOptional === true;
  });
}

export const readLock = (): Readonly<Record<string, Locked>> =>
  JSON.parse(readFileSync(join(import.meta.dirname, '../package-lock.json'), 'utf8')).packages;

const packageOf = (path: string) => /^.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1];

const kilobytes = (bytes: number) => `${(bytes / 1024).toFixed(1).padStart(8)} KB`;

function describe(entry: Entry): string[] {
  const bundled = bundle(entry);
  const files = readdirSync(bundled.folder).map((name) => readFileSync(join(bundled.folder, name)));
  const sum = (sizes: readonly number[]) => kilobytes(sizes.reduce((one, other) => one + other, 0)).trim();
  const size = sum(files.map(({ length }) => length));
  const zipped = sum(files.map((bytes) => gzipSync(bytes).length));
  const lines = [...contentsOf(bundled)].map(([name, bytes]) => `  ${kilobytes(bytes)}  ${name}`);
  return [
    `${entry}: ${size}, compressed ${zipped}, ${files.length === 1 ? 'in one file' : `in ${files.length} files`}`,
    ...lines,
    '',
  ];
}

if (import.meta.main) {
  process.stdout.on('error', () => process.exit()); // whoever read on has read enough
  const locked = readLock();
  for (const line of entries.flatMap(describe)) console.log(line);
  const strangers = entries.flatMap((entry) => strangersIn(bundle(entry), locked));
  for (const path of strangers) console.error(`${path} does not belong into a function.`);
  process.exitCode = strangers.length > 0 ? 1 : 0;
}
