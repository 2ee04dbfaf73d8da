/**
 * What a function is deployed as: its entry point and all that this needs in one ES module, the AWS SDK too, since the copy that Lambda
 * brings is older than the fields that the gateway sends and slower to load. What the product itself loads only when it is needed lies beside it.
 */
import { readdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync, type Metafile } from 'esbuild';

export type Entry = 'http' | 'websocket' | 'authorizer';

export type Bundle = {
  /** The folder to deploy. It holds `index.mjs` and what that imports late. */
  readonly folder: string;
  readonly file: string;
  /** What went into it, as esbuild tells. */
  readonly metafile: Metafile;
};

const root = fileURLToPath(new URL('..', import.meta.url));
const made = new Map<Entry, Bundle>();

/** Bundles `src/<entry>.lambda.ts` into `build/<entry>/`; once per process. */
export function bundle(entry: Entry): Bundle {
  const known = made.get(entry);
  if (known) return known;
  const folder = `${root}build/${entry}`;
  const file = `${folder}/index.mjs`;
  const { metafile } = buildSync({
    absWorkingDir: root,
    entryPoints: { index: `src/${entry}.lambda.ts` },
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    chunkNames: '[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    mainFields: ['module', 'main'],
    // Names stay: they are what a stack in the log is read by.
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    metafile: true,
    logLevel: 'error',
  });
  removeOthers(folder, metafile);
  const bundled = { folder, file, metafile };
  made.set(entry, bundled);
  return bundled;
}

/** What an older build left. Files of this one stay where they are, since another process may be at the same. */
function removeOthers(folder: string, { outputs }: Metafile) {
  const made = new Set(Object.keys(outputs).map((path) => basename(path)));
  for (const name of readdirSync(folder)) if (!made.has(name)) rmSync(join(folder, name));
}
