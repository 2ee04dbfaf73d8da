/** What the README says of settings and errors, held against the tables that the product reads. */
import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { variables } from '../cdk/config/variables.ts';
import { errorKinds } from '../src/chat/errors.ts';
import { settingsTable } from '../src/chat/settings.ts';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');

/** The cells of each row of the table below this head. */
function rowsOf(head: string): string[][] {
  const [, table = ''] = readme.split(`${head}\n`);
  const [rows = ''] = table.split('\n\n');
  const lines = rows.split('\n').slice(1);
  return lines.map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

const documenting = suite('the README');

documenting('lists every setting with its default, what it takes and what it means', () => {
  assert.equal(
    rowsOf('| setting | default | takes | meaning |'),
    settingsTable.map(({ name, default: text, kind, meaning }) => [
      `\`${name}\``,
      text ? `\`${text.replaceAll(',', ', ')}\`` : 'none',
      kind.allowed,
      meaning,
    ]),
  );
});

documenting('lists every variable of the deployment with its default and what it means', () => {
  assert.equal(
    rowsOf('| variable | default | meaning |'),
    variables.map(({ name, defaultText, meaning }) => [
      `\`${name}\``,
      defaultText ? `\`${defaultText.replaceAll(',', ', ')}\`` : 'none',
      meaning,
    ]),
  );
});

documenting('lists every error code under its status', () => {
  const codes = rowsOf('| status | codes |').flatMap(([status, cell = '']) =>
    cell.split(' ').map((code) => [code.replaceAll('`', ''), Number(status)]),
  );
  assert.equal(
    new Map(codes.map(([code, status]) => [code, status])),
    new Map(Object.entries(errorKinds).map(([code, { status }]) => [code, status])),
  );
});

documenting.run();
