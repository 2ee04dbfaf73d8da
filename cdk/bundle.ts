/**
 * What a function is deployed as: its entry point and all that this needs in one ES module, the AWS SDK too, since the copy that Lambda
 * brings is older than the fields that the gateway sends and slower to load.
 */
import { fileURLToPath } from 'node:url';
import { buildSync, type Metafile } from 'esbuild';

export type Entry = 'http' | 'websocket' | 'authorizer';

export type Bundle = {
  /** The folder to deploy. It holds `index.mjs` and nothing else. */
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
    entryPoints: [`src/${entry}.lambda.ts`],
    outfile: file,
    bundle: true,
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
  const bundled = { folder, file, metafile };
  made.set(entry, bundled);
  return bundled;
}
