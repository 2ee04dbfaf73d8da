/**
 * How fast a table takes batches from a loop that does nothing else: its items are read and made ready before.
 * `node bare-rate.ts <url> <table> <file> <concurrency>`
 */
import { readFileSync } from 'node:fs';
import { BatchWriteItemCommand } from '@aws-sdk/client-dynamodb';
import { marshall } from '@aws-sdk/util-dynamodb';
import { dynamoClient } from '../../helpers/dynamodb.ts';

const [url = '', table = '', path = '', concurrency = '8'] = process.argv.slice(2);
const items: Record<string, unknown>[] = JSON.parse(readFileSync(path, 'utf8'));
const requests = items.map((item) => ({ PutRequest: { Item: marshall(item) } }));
const batches = Array.from({ length: Math.ceil(requests.length / 25) }, (_, at) =>
  requests.slice(25 * at, 25 * at + 25),
);
const client = dynamoClient(url);

async function work() {
  for (let batch = batches.shift(); batch; batch = batches.shift())
    await client.send(new BatchWriteItemCommand({ RequestItems: { [table]: batch } }));
}

await Promise.all(Array.from({ length: Number(concurrency) }, work));
client.destroy();
