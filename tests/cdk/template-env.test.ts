/** The file that operators copy, held against the table that the deployment reads by. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { variables } from '../../cdk/config/variables.ts';
import { parseConfig } from '../../cdk/config.ts';

const path = fileURLToPath(new URL('../../template.env', import.meta.url));
const template = readFileSync(path, 'utf8');

const defaults = Object.fromEntries(variables.map(({ name, defaultText }) => [name, defaultText]));

/** What a program that is started so finds in its environment, without what it would find there anyway. */
function environmentOf(program: string, args: readonly string[]): Record<string, string> {
  const output = execFileSync(program, args, { env: { PATH: process.env['PATH'] }, encoding: 'utf8' });
  const found: Record<string, string> = JSON.parse(output);
  return Object.fromEntries(
    Object.entries(found).filter(([name]) => !/^(PATH|PWD|OLDPWD|SHLVL|_)$/.test(name)),
  );
}

const PRINT = 'console.log(JSON.stringify(process.env))';

const reading = suite('template.env');

reading('has every variable of the table with its default, and nothing else, for --env-file', () => {
  assert.equal(environmentOf(process.execPath, [`--env-file=${path}`, '-e', PRINT]), defaults);
});

reading('has the same for a shell that exports its lines', () => {
  const script = `export $(grep -v '^#' "$1" | xargs); exec "$2" -e '${PRINT}'`;
  assert.equal(
    environmentOf('bash', ['--norc', '--noprofile', '-c', script, 'bash', path, process.execPath]),
    defaults,
  );
});

reading('has no white space, quotes or remarks in its values, which programs read differently', () => {
  const lines = template.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  for (const line of lines) assert.match(line, /^[A-Z_]+=[^\s'"`$\\#]*$/);
});

reading('deploys what no variables at all deploy', () => {
  assert.equal(parseConfig(defaults), parseConfig({}));
});

reading('says above each variable what it means, what it takes and what it is by default', () => {
  const blocks = template.trim().split('\n\n').slice(1);
  const told = blocks.map((block) => {
    const lines = block.split('\n');
    const comment = lines.slice(0, -1).map((line) => line.replace(/^# /, ''));
    return [lines.at(-1)?.replace(/=.*/, ''), comment.join(' ')];
  });
  const meant = variables.map(({ name, defaultText, kind, meaning }) => [
    name,
    `${meaning.replaceAll('`', '')} Values: ${kind.allowed}. Default: ${defaultText.replaceAll(',', ', ') || 'none'}.`,
  ]);
  assert.equal(told, meant);
});

reading.run();
