/** What the doctor says of Lambda's quota. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parseConfig } from '../../cdk/config.ts';
import { judgeConcurrency } from '../../scripts/doctor/concurrency.ts';

type Row = {
  readonly all: number;
  readonly unreserved?: number;
  readonly reserved?: number;
  readonly warm?: number;
  readonly both?: boolean;
  readonly isDeployed?: boolean;
  readonly says: RegExp;
};

const rows: readonly Row[] = [
  { all: 1000, says: /^ok .*Up to 1000 executions at once, 1000 of them unreserved\.$/ },
  {
    all: 10,
    says: /^warning .*may run 10 times at once.*--quota-code L-B99A9384 .*--region us-east-1 to ask for more\.$/,
  },
  { all: 100, says: /^ok/ },
  {
    all: 10,
    reserved: 1,
    says: /^problem .*would take 1 concurrent executions out of 10, and Lambda keeps 100 free/,
  },
  { all: 1000, reserved: 900, says: /^ok/ },
  { all: 1000, reserved: 901, says: /^problem .*take 901 .* out of 1000.*; lower RESERVED_CONCURRENCY/ },
  { all: 1000, reserved: 450, both: true, says: /^ok/ },
  { all: 1000, reserved: 451, both: true, says: /^problem .*take 902 / },
  { all: 1000, unreserved: 200, reserved: 100, says: /^ok/ },
  { all: 1000, unreserved: 200, reserved: 101, says: /^problem .*take 101 .*, and 100 can be had; lower/ },
  {
    all: 1000,
    unreserved: 100,
    reserved: 101,
    isDeployed: true,
    says: /^warning .*, and 0 can be had beside what this stack has/,
  },
  { all: 1000, unreserved: 50, reserved: 901, isDeployed: true, says: /^problem/ },
  { all: 1000, warm: 900, says: /^ok/ },
  { all: 1000, warm: 901, says: /^problem .*take 901 / },
  { all: 1000, warm: 301, both: true, says: /^problem .*take 903 / },
  { all: 1000, warm: 50, reserved: 60, both: true, says: /^ok/ },
  { all: 1000, warm: 101, reserved: 400, both: true, says: /^problem .*take 901 / },
];

const plainConfig = parseConfig({});

const concurrency = suite('judgeConcurrency');

for (const { all, unreserved = all, reserved, warm = 0, both = false, isDeployed = false, says } of rows) {
  const changes = {
    hasWebSocket: both,
    provisionedConcurrency: warm,
    ...(reserved !== undefined && { reservedConcurrency: reserved }),
  };
  const when = isDeployed ? ', deployed before' : '';
  concurrency(`${JSON.stringify(changes)} of ${all}, ${unreserved} unreserved${when}: ${says}`, async () => {
    const found = await judgeConcurrency(
      { ...plainConfig, ...changes },
      { all, unreserved },
      async () => isDeployed,
    );
    assert.is(found.check, 'concurrency');
    assert.match(`${found.result} ${found.sentence}`, says);
  });
}

concurrency('an account with room is not asked whether the stack is there', async () => {
  const config = { ...plainConfig, reservedConcurrency: 5 };
  const found = await judgeConcurrency(
    config,
    { all: 1000, unreserved: 1000 },
    () => assert.unreachable() as never,
  );
  assert.is(found.result, 'ok');
});
concurrency.run();
