import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createLock } from '../../../src/local/dynamodb/lock.ts';
import { settle } from '../../helpers/manual-clock.ts';

/** Work that says when it begins, and ends when it is told to. */
function build() {
  const { share, alone } = createLock();
  const begun: string[] = [];
  const ends = new Map<string, () => void>();
  const run = (name: string) => async () => {
    begun.push(name);
    await new Promise<void>((resolve) => ends.set(name, resolve));
    if (name.includes('fails')) throw new Error(name);
    return name;
  };
  const end = async (...names: string[]) => {
    for (const name of names) ends.get(name)?.();
    await settle();
    return begun.splice(0).join(' ');
  };
  return { share: (name: string) => share(run(name)), alone: (name: string) => alone(run(name)), end };
}

const locks = suite('createLock');

locks('those that share run together, and who is alone runs when all before are done', async () => {
  const { share, alone, end } = build();
  const results = [share('a'), share('b'), alone('c'), alone('d'), share('e'), share('f'), alone('g')];
  assert.is(await end(), 'a b');
  assert.is(await end('a'), '');
  assert.is(await end('b'), 'c');
  assert.is(await end('c'), 'd');
  assert.is(await end('d'), 'e f');
  assert.is(await end('f'), '');
  assert.is(await end('e'), 'g');
  await end('g');
  assert.equal(await Promise.all(results), ['a', 'b', 'c', 'd', 'e', 'f', 'g']);
});

locks('a failure reaches who ran into it, and nobody else', async () => {
  const { share, alone, end } = build();
  const failing = [share('a fails'), alone('b fails')].map((work) => work.catch(({ message }) => message));
  const later = share('c');
  await end();
  assert.is(await end('a fails'), 'b fails');
  assert.is(await end('b fails'), 'c');
  await end('c');
  assert.equal(await Promise.all([...failing, later]), ['a fails', 'b fails', 'c']);
});

locks.run();
