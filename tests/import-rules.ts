/**
 * Who may import what, and the other rules about how files are named and written that a test can check. The
 * table below is the rule (DESIGN.md, "Layout and direction of dependencies"); `violations` applies it to one
 * file, from its path and text alone. It reads text, not syntax: good enough for formatted code.
 */
import { matchesGlob, posix } from 'node:path';

type Layer = { within: string; files: readonly string[]; packages: readonly string[] };
type Import = { specifier: string | undefined; isType: boolean };

/** The first row that fits a file decides. A folder stands for all in it, a package for all of its entry points. */
const LAYERS: readonly Layer[] = [
  {
    within: 'src/*.lambda.ts',
    files: ['src/wire.ts', 'src/doors', 'src/names.ts'],
    packages: ['type aws-lambda'],
  },
  {
    within: 'src/wire.ts',
    files: ['src/doors', 'src/aws', 'src/chat', 'src/names.ts'],
    packages: ['@aws-sdk', '@smithy/node-http-handler', '@aws-lambda-powertools', 'aws4fetch', 'node:*'],
  },
  {
    within: 'src/names.ts',
    files: [],
    packages: [],
  },
  {
    within: 'src/doors',
    files: ['src/doors', 'src/chat', 'src/names.ts'],
    packages: ['hono', 'zod/mini', 'js-tiktoken', 'type aws-lambda', 'node:*'],
  },
  {
    within: 'src/chat',
    files: ['src/chat'],
    packages: ['node:crypto'],
  },
  {
    within: 'src/aws',
    files: ['src/aws', 'src/chat', 'src/names.ts'],
    packages: ['@aws-sdk', '@smithy', '@aws-lambda-powertools/parameters', 'aws4fetch', 'zod/mini', 'node:*'],
  },
  // It runs in a browser.
  {
    within: 'src/local/page',
    files: ['src/local/page'],
    packages: ['aws4fetch', 'dompurify', 'eventsource-parser', 'marked'],
  },
  { within: 'src/local', files: ['src'], packages: ['*'] },
  { within: 'cdk', files: ['cdk', 'src/names.ts', 'src/chat/settings.ts'], packages: ['*'] },
  { within: 'scripts', files: ['scripts', 'src', 'cdk'], packages: ['*'] },
  { within: 'tests', files: ['tests', 'src', 'scripts', 'cdk', 'samples'], packages: ['*'] },
];

/** What a file must not say, `within` these places and `except` in those. */
const WORDS: readonly {
  what: string;
  pattern: RegExp;
  within: readonly string[];
  except?: readonly string[];
}[] = [
  {
    what: 'process.env, which each program reads in one place',
    pattern: /\bprocess\s*(\?\.|\.)\s*env\b|\bprocess\s*(\?\.)?\[|=\s*process\s*[;,)\n]/,
    within: ['src', 'cdk'],
    except: ['src/wire.ts', 'src/local/start.ts', 'cdk/config.ts'],
  },
  {
    what: 'a process or a clock of its own',
    pattern:
      /\bprocess\b|\bDate\.now\b|\bnew Date\(\)|\bperformance\.|\bset(Timeout|Interval|Immediate)\(|\bAbortSignal\.timeout\b/,
    within: ['src/chat'],
  },
  {
    what: 'a default export',
    pattern: /\bexport\s+default\b|\bexport\s*\{[^}]*\bdefault\b/,
    within: ['src'],
  },
  {
    what: '`any`',
    pattern: /(?::|\bas|\bsatisfies|[<,|&=(])\s*any\b\s*(?=[[\]<>,;)=|&{}?\n]|$)/,
    within: ['src', 'scripts', 'cdk'],
  },
  {
    what: 'an enum',
    pattern: /\benum\s+\w+\s*\{/,
    within: ['src', 'scripts', 'cdk'],
  },
];

/** These names say nothing about what is in a file. */
const EMPTY_NAMES = ['utils', 'util', 'helpers', 'common', 'services', 'manager', 'types', 'base', 'index'];

/** One sentence for each rule that the file breaks. `path` is relative to the repository, with `/`. */
export function violations(path: string, source: string): string[] {
  const found = [...wrongName(path), ...wrongImports(path, source), ...wrongWords(path, source)];
  return found.map((sentence) => `${path} ${sentence}`);
}

function wrongName(path: string): string[] {
  const allowed = path.startsWith('tests/') ? ['helpers'] : [];
  return path
    .split('/')
    .map((part) => part.replace(/\..*/, ''))
    .filter((name) => EMPTY_NAMES.includes(name) && !allowed.includes(name))
    .map((name) => `is named "${name}", which says nothing`);
}

function wrongImports(path: string, source: string): string[] {
  const layer = LAYERS.find(({ within }) => matchesGlob(path, within) || path.startsWith(`${within}/`));
  if (layer === undefined) return ['has no place in the layout'];
  return importsOf(source).flatMap((found) => wrongImport(path, layer, found) ?? []);
}

function wrongImport(path: string, layer: Layer, { specifier, isType }: Import): string | undefined {
  if (specifier === undefined) {
    return layer.packages.includes('*') ? undefined : 'imports something that is only known at run time';
  }
  if (/^(node:)?process$/.test(specifier)) return 'imports process, which is a global';
  if (!/^\.\.?\//.test(specifier)) {
    const isAllowed = layer.packages.some((allowed) => allowsPackage(allowed, specifier, isType));
    return isAllowed ? undefined : `must not import ${specifier}`;
  }
  if (!/\.(ts|mjs|json)$/.test(specifier)) return `imports ${specifier} without its .ts extension`;
  const target = posix.join(posix.dirname(path), specifier);
  const isAllowed = layer.files.some((allowed) => target === allowed || target.startsWith(`${allowed}/`));
  return isAllowed ? undefined : `must not import ${target}`;
}

/** `*` is any package, `node:*` any of Node's, `type x` only the types of x. */
function allowsPackage(allowed: string, specifier: string, isType: boolean): boolean {
  if (allowed.endsWith('*')) return specifier.startsWith(allowed.slice(0, -1));
  if (allowed.startsWith('type ')) return isType && specifier === allowed.slice('type '.length);
  return specifier === allowed || specifier.startsWith(`${allowed}/`);
}

/** Static imports and re-exports, imports for the side effect, `import(…)` as an expression and as a type, `require`. */
function importsOf(source: string): Import[] {
  const code = source.replace(LITERALS, (literal, at: number) => {
    const isSpecifier = /\b(from|import|import\s*\(|require\s*\()\s*$/.test(source.slice(0, at).slice(-40));
    return isSpecifier && !literal.startsWith('/') ? literal : ' ';
  });
  const all = (pattern: RegExp) => [...code.matchAll(pattern)].map((match) => match.groups ?? {});
  return [
    ...all(/\b(?:import|export)\s+(?<type>type\s)?[\w$*{},\s]*\bfrom\s*['"](?<specifier>[^'"]+)['"]/g),
    ...all(/\bimport\s*['"](?<specifier>[^'"]+)['"]/g),
    ...all(/\bimport\s*\(\s*(?:['"](?<specifier>[^'"]+)['"]\s*[,)](?<type>\s*\.\s*[A-Z])?)?/g),
    ...all(/\brequire\s*\(\s*(?:['"](?<specifier>[^'"]+)['"]\s*\))?/g),
  ].map(({ specifier, type }) => ({ specifier, isType: type !== undefined }));
}

function wrongWords(path: string, source: string): string[] {
  const isIn = (places: readonly string[] = []) => places.some((place) => `${path}/`.startsWith(`${place}/`));
  const code = source.replace(LITERALS, (literal) => (literal.startsWith('`') ? literal : ' '));
  return WORDS.filter(({ within, except }) => isIn(within) && !isIn(except))
    .filter(({ pattern }) => pattern.test(code))
    .map(({ what }) => `contains ${what}`);
}

/** Comments, strings, templates, and regular expressions where one can begin: what is not code. */
const LITERALS = new RegExp(
  [
    /\/\/.*/,
    /\/\*[\s\S]*?\*\//,
    /'(?:\\.|[^'\\\n])*'/,
    /"(?:\\.|[^"\\\n])*"/,
    /`(?:\\[\s\S]|[^`\\])*`/,
    /(?<=[=(,:;!&|?{}[\n]\s*|\breturn )\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\//,
  ]
    .map(({ source }) => source)
    .join('|'),
  'g',
);
