/**
 * `npm run image -- rest|websocket`: the functions of a door as a container image, for accounts that deploy nothing else. Needs Docker.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { bundle } from '../cdk/bundle.ts';

const help = `npm run image -- rest|websocket [options]

Builds an image for the function behind the REST API and the Function URL (rest), or for those of the WebSocket API (websocket).

  -t, --tag NAME:TAG    what it is called; without it ECR_REST_REPOSITORY or ECR_WEBSOCKET_REPOSITORY, else llm-gateway-rest or llm-gateway-ws
  --help                this text

Push it to a repository in ECR of the stack's account and region, best under a tag that is never pushed again, and name it in .env:
a push to a tag that was deployed before deploys nothing. CDK_DOCKER names another program than docker.
`;

export const doors = {
  rest: { entry: 'http', variable: 'ECR_REST_REPOSITORY', name: 'llm-gateway-rest' },
  websocket: { entry: 'websocket', variable: 'ECR_WEBSOCKET_REPOSITORY', name: 'llm-gateway-ws' },
} as const;

export type Io = { readonly out: (text: string) => void; readonly err: (text: string) => void };

/** Returns the exit code: that of docker, or 2 when the command is none. */
export function image(args: readonly string[], env: NodeJS.ProcessEnv, io: Io): number {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { tag: { type: 'string', short: 't' }, help: { type: 'boolean' } },
  });
  const [door = ''] = positionals;
  if (values.help || !isDoor(door)) {
    io.out(help);
    return values.help ? 0 : 2;
  }
  const { entry, variable, name } = doors[door];
  bundle(entry);
  const tag = values.tag ?? (env[variable]?.replace(/@.*/, '') || name);
  const docker = env['CDK_DOCKER'] || 'docker';
  // Lambda takes no image whose manifest lists attestations beside it.
  const build = ['build', '--platform', 'linux/arm64', '--provenance=false', '--build-arg', `ENTRY=${entry}`];
  const { status, error } = spawnSync(docker, [...build, '--tag', tag, '.'], { stdio: 'inherit', env });
  if (error)
    io.err(`${docker} could not be started; install Docker, or name another program in CDK_DOCKER.\n`);
  return status ?? 1;
}

const isDoor = (door: string): door is keyof typeof doors => Object.hasOwn(doors, door);

if (import.meta.main) {
  if (existsSync('.env')) process.loadEnvFile('.env');
  process.exitCode = image(process.argv.slice(2), process.env, {
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
  });
}
