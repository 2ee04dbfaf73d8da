/**
 * The API keys of the laptop, which API Gateway would keep: a tenant and a key each. Only digests are held.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** The tenant of a key, or nothing for one that nobody was given. */
export type FindTenant = (key: string) => string | undefined;

export function createKeyring(keys: ReadonlyMap<string, string>): FindTenant {
  const tenants = new Map([...keys].map(([tenant, key]) => [digest(key), tenant]));
  return (key) => tenants.get(digest(key));
}

const digest = (key: string) => createHash('sha256').update(key).digest('hex');

/**
 * `alice=key1,bob=key2` as tenant → key.
 *
 * @throws `Error` with a sentence for whoever wrote the variable
 */
export function parseKeys(variable: string, value: string): ReadonlyMap<string, string> {
  const keys = new Map<string, string>();
  for (const pair of value.split(',').filter((part) => part.trim() !== '')) {
    const [, tenant, key] = /^\s*([A-Za-z0-9_-]{1,128})=(\S{1,128})\s*$/.exec(pair) ?? [];
    if (!tenant || !key)
      throw new Error(`${variable} must be tenant=key,tenant=key with tenants of A-Z, a-z, 0-9, _ and -.`);
    keys.set(tenant, key);
  }
  if (keys.size === 0) throw new Error(`${variable} must name at least one tenant=key.`);
  return keys;
}

/** The key that was made on the first start and is kept in `path`; made anew when there is no path. */
export function loadOrCreateKey(path: string | undefined): string {
  const kept = path === undefined ? undefined : readKey(path);
  if (kept) return kept;
  const key = `local${randomBytes(20).toString('hex')}`;
  if (path !== undefined) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, `${key}\n`, { mode: 0o600 });
  }
  return key;
}

function readKey(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}
