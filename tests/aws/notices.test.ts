import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { logNotice } from '../../src/aws/notices.ts';
import { OpenSearchError } from '../../src/aws/opensearch.ts';

const notices = suite('what whoever runs the gateway is told of a mishap');

function tell(cause?: unknown, type: 'similar-unavailable' | 'question-not-indexed' = 'similar-unavailable') {
  const lines: (readonly [string, object])[] = [];
  const counted: string[] = [];
  const write = (message: string, fields: object) => void lines.push([message, fields]);
  const logger = { info: write, warn: write, error: write };
  logNotice(logger, { type, cause }, { count: (name) => void counted.push(name) });
  assert.equal(counted, ['SimilarUnavailable']);
  assert.is(lines.length, 1);
  assert.is(
    lines[0]?.[0],
    type === 'similar-unavailable' ? 'similar questions not searched' : 'learned question not indexed',
  );
  return lines[0]?.[1];
}

notices('is what OpenSearch refused it with, since who may not search and what is missing look alike', () => {
  assert.equal(tell(new OpenSearchError(403, 'security_exception')), {
    cause: ['OpenSearchError'],
    status: 403,
    type: 'security_exception',
  });
});

notices('are the names of all that was thrown, and never a message, which may quote', () => {
  const cause = new TypeError('fetch failed', { cause: new RangeError('What is a secret?') });
  assert.equal(tell(cause), { cause: ['TypeError', 'RangeError'] });
  assert.equal(tell(), { cause: [] });
  assert.equal(tell(undefined, 'question-not-indexed'), { cause: [] });
});

notices.run();
