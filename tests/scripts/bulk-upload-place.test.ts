/** Where `npm run bulk-upload` finds the answers of a deployed gateway. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { failure, type Replies, stack, withAws } from '../helpers/aws-stand-in.ts';

const NAME = 'LlmGatewayStack-answers-1A2B3C4D5E6F7';

/** The upload of one question without `-t`, to an AWS that only the configuration file knows to be here. */
const upload = (replies: Replies, args: readonly string[] = []) =>
  withAws(replies, async ({ url, folder, calls, run }) => {
    const config = join(folder, 'config');
    writeFileSync(
      config,
      `[default]\nservices = here\n[services here]\ndynamodb =\n  endpoint_url = ${url}\n`,
    );
    writeFileSync(join(folder, 'items.json'), '[{"pk":"What is a mast?","answer":"A pole."}]');
    const env = {
      AWS_ENDPOINT_URL: undefined,
      AWS_ENDPOINT_URL_CLOUDFORMATION: url,
      AWS_CONFIG_FILE: config,
    };
    const ended = await run('scripts/bulk-upload.ts', ['items.json', '--quiet', ...args], env);
    return { ...ended, calls };
  });

const table = (TableName: string) => ({
  body: JSON.stringify({
    Table: {
      TableName,
      TableArn: 'arn',
      TableId: 'id',
      TableStatus: 'ACTIVE',
      KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
      AttributeDefinitions: [{ AttributeName: 'pk', AttributeType: 'S' }],
    },
  }),
});

const place = suite('the answers of a deployed gateway');

place('are the table that its stack names, and take questions as people write them', async () => {
  const { code, out, calls } = await upload({
    DescribeStacks: stack('CREATE_COMPLETE', { AnswersTable: NAME }),
    DescribeTable: table(NAME),
    BatchWriteItem: { body: '{"UnprocessedItems":{}}' },
  });
  assert.equal([code, out], [0, '1 written, 0 rejected\n']);
  assert.equal(
    calls.map(({ action }) => action),
    ['DescribeStacks', 'DescribeTable', 'BatchWriteItem'],
  );
  assert.match(calls[2]?.body ?? '', `"${NAME}"`);
  assert.match(calls[2]?.body ?? '', '"pk":{"S":"what is a mast"}');
});

place('are not looked for when a table is named', async () => {
  const DescribeTable = failure(400, 'ResourceNotFoundException', 'foreign');
  const { code, calls } = await upload({ DescribeTable }, ['-t', 'Stock']);
  assert.is(code, 1);
  assert.equal([...new Set(calls.map(({ action }) => action))], ['DescribeTable']);
});

place('that was not deployed are missed with a sentence', async () => {
  const { code, err } = await upload({});
  assert.equal(
    [code, err],
    [
      1,
      'There is no stack LlmGatewayStack in us-east-1; deploy it first, or set STACK_NAME, STAGE and REGION_ID.\n',
    ],
  );
});

place.run();
