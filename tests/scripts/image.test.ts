import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { image } from '../../scripts/image.ts';

/** Runs the command with a program in docker's place that notes how it was called. */
function run(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'llm-gateway-'));
  const docker = join(folder, 'docker');
  writeFileSync(docker, `#!/bin/sh\nprintf '%s\\n' "$@" > ${folder}/called\nexit 3\n`);
  chmodSync(docker, 0o755);
  const said: string[] = [];
  const io = { out: (text: string) => said.push(text), err: (text: string) => said.push(text) };
  try {
    const code = image(args, { PATH: process.env['PATH'], CDK_DOCKER: docker, ...env }, io);
    const called = code === 3 ? readFileSync(`${folder}/called`, 'utf8').trim().split('\n') : [];
    return { code, said: said.join(''), called: called.join(' ') };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const building = suite('image');

building('builds for the processor of the functions, as one manifest, and ends as docker does', () => {
  assert.equal(run(['websocket']), {
    code: 3,
    said: '',
    called:
      'build --platform linux/arm64 --provenance=false --build-arg ENTRY=websocket --tag llm-gateway-ws .',
  });
});

building('is called as the deployment’s variable says, without its digest', () => {
  const digest = `sha256:${'0'.repeat(64)}`;
  assert.match(
    run(['rest'], { ECR_REST_REPOSITORY: 'team/rest:7' }).called,
    /ENTRY=http --tag team\/rest:7 \.$/,
  );
  assert.match(run(['rest'], { ECR_REST_REPOSITORY: `team/rest@${digest}` }).called, /--tag team\/rest \.$/);
  assert.match(run(['rest', '-t', 'mine:1']).called, /--tag mine:1 \.$/);
});

building('explains itself when it is not told which, and says what is missing without docker', () => {
  assert.is(run([]).code, 2);
  assert.match(run(['http']).said, 'npm run image -- rest|websocket');
  const { code, said } = run(['rest'], { CDK_DOCKER: '/nowhere/docker' });
  assert.equal(
    [code, said],
    [1, '/nowhere/docker could not be started; install Docker, or name another program in CDK_DOCKER.\n'],
  );
});

building('is made by a Dockerfile that copies the bundle that was made, with all its files', () => {
  const dockerfile = readFileSync(new URL('../../Dockerfile', import.meta.url), 'utf8');
  assert.match(dockerfile, /\nARG ENTRY\nCOPY build\/\$\{ENTRY\}\/ \$\{LAMBDA_TASK_ROOT\}\/\n/);
  assert.match(dockerfile, /^FROM public\.ecr\.aws\/lambda\/nodejs:24$/m);
  assert.is(readFileSync(new URL('../../.dockerignore', import.meta.url), 'utf8'), '*\n!build/\n');
});

building.run();
