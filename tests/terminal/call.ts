/**
 * `npm run test:terminal`: `npm run call` in a real terminal, against the three doors of `npm start`. Prints a line for each check, and
 * ends with 1 when one of them failed; where there is no tmux it says so and ends with 0.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type BedrockServer, startBedrockSimulator } from '../../src/local/bedrock/simulator.ts';
import { ACCESS_KEY, KEY, type Running, start, stop } from '../helpers/process.ts';

const LIMIT_MS = 10_000;
const CALL = 'npm run --silent call --';
/** The shell's prompt at the end of what is on the screen. */
const AT_SHELL = /(^|\n)shell\$ \n*$/;
const DOORS = ['rest', 'websocket', 'function-url'] as const;

/** Some 12 s long. */
const LONG = `ECHO ${'all of this takes a while '.repeat(100).trim()}`;

let failures = 0;

async function check(name: string, run: () => Promise<string>) {
  const [mark, figures] = await run().then(
    (said) => ['ok  ', said],
    (error: unknown) => ['FAIL', String(error)],
  );
  if (mark === 'FAIL') failures++;
  console.log(`${mark}  ${name}: ${figures}`);
}

function expect(isSo: boolean, what: string) {
  if (!isSo) throw new Error(what);
}

type Terminal = ReturnType<typeof openTerminal>;

/** A shell in a terminal of 80 columns, in a folder whose package has the script `call`. */
function openTerminal(folder: string, env: Record<string, string>) {
  const name = `call-${process.pid}`;
  const tmux = (...args: string[]) => execFileSync('tmux', ['-L', name, ...args], { env, encoding: 'utf8' });
  const shell = ['bash', '--noprofile', '--norc'];
  tmux('-f', '/dev/null', 'new-session', '-d', '-x', '80', '-y', '50', '-c', folder, ...shell);
  const terminal = {
    /** What is on the screen, and what has gone above it; lines that were broken at the margin are joined. */
    read: (...options: string[]) => tmux('capture-pane', '-p', '-J', '-S', '-500', ...options),
    press: (...keys: string[]) => void tmux('send-keys', ...keys),
    type: (text: string) => void tmux('send-keys', '-l', text),
    paste(text: string) {
      tmux('set-buffer', text);
      tmux('paste-buffer');
    },
    close: () => void tmux('kill-server'),
    /** Types a command into a shell of its own. */
    async run(command: string) {
      tmux('respawn-window', '-k', '-c', folder, ...shell);
      tmux('clear-history');
      await terminal.see(AT_SHELL);
      terminal.type(command);
      terminal.press('Enter');
    },
    async see(pattern: RegExp): Promise<string> {
      const until = Date.now() + LIMIT_MS;
      while (Date.now() < until) {
        if (pattern.test(terminal.read())) return terminal.read();
        await sleep(25);
      }
      throw new Error(`${pattern} is not to be seen in: ${terminal.read().trim()}`);
    },
    /** The exit code of what ran before. */
    async readCode(): Promise<string> {
      await terminal.see(AT_SHELL);
      terminal.type('echo "code"=$?');
      terminal.press('Enter');
      return /code=(\d+)/.exec(await terminal.see(/^code=\d+$/m))?.[1] ?? '';
    },
  };
  return terminal;
}

type Stage = { readonly terminal: Terminal; readonly gateway: Running; readonly bedrock: BedrockServer };

async function reach(isReached: () => boolean, what: string) {
  const until = Date.now() + LIMIT_MS;
  while (!isReached()) {
    expect(Date.now() < until, what);
    await sleep(25);
  }
}

const countCancelled = ({ gateway }: Stage, door: string) =>
  gateway
    .output()
    .split('\n')
    .filter((line) => line.includes('"outcome":"cancelled"') && line.includes(`"door":"${door}"`)).length;

/** How often the words on the screen grew, until there are some. */
async function watchGrowth({ terminal }: Stage): Promise<number> {
  const sizes = new Set<number>();
  await reach(() => {
    const words = terminal.read().split('while').length;
    // The first are those of the question.
    if (words > 102) sizes.add(words);
    return sizes.size >= 4;
  }, `it grew ${sizes.size} times: ${terminal.read()}`);
  return sizes.size;
}

async function expectCancelled(stage: Stage, door: string, before: number) {
  const { bedrock } = stage;
  await reach(() => bedrock.ledger.open === 0, 'Bedrock is still answering');
  expect(bedrock.ledger.closedEarly > 0, 'Bedrock answered to the end');
  await reach(() => countCancelled(stage, door) === before + 1, 'the log says nothing of a cancelled answer');
}

async function checkCtrlC(stage: Stage, door: string): Promise<string> {
  const { terminal } = stage;
  await terminal.run(`${CALL} --door ${door} '${LONG}'`);
  const growths = await watchGrowth(stage);
  terminal.press('C-c');
  const at = performance.now();
  await terminal.see(/^The answer was cancelled; about \d+ tokens were read and \d+ written\.$/m);
  const ms = Math.round(performance.now() - at);
  await expectCancelled(stage, door, 0);
  const code = await terminal.readCode();
  expect(code === '130', `it ended with ${code}`);
  return `the answer grew ${growths} times, was cancelled after ${ms} ms, exit code ${code}`;
}

async function checkWhole({ terminal }: Stage): Promise<string> {
  await terminal.run(`${CALL} 'ECHO a\u200bwhole answer'`);
  const seen = await terminal.see(/^global\..*$/m);
  expect(/^a\u200bwhole answer\n.*first token after \d+ ms · .*chat \S+$/m.test(seen), seen);
  expect(terminal.read('-e').includes('\u001b[2m'), 'the summary is not dimmed');
  await terminal.run(`NO_COLOR=1 ${CALL} 'ECHO plain'`);
  await terminal.see(/^global\..*$/m);
  expect(!terminal.read('-e').includes('\u001b[2m'), 'the summary is dimmed in spite of NO_COLOR');
  return /^global\..*$/m.exec(seen)?.[0] ?? '';
}

async function checkConversation(stage: Stage): Promise<string> {
  const { terminal } = stage;
  const ask = (text: string) => {
    terminal.type(text);
    terminal.press('Enter');
  };
  const before = countCancelled(stage, 'function-url');
  await terminal.run(CALL);
  await terminal.see(/^> $/m);
  ask('ECHO the first');
  await terminal.see(/^the first\n.*chat .*\n> $/m);
  terminal.paste('ECHO the second\nof two lines');
  await terminal.see(/^of two lines$/m);
  terminal.press('Enter');
  const seen = await terminal.see(/^the second\nof two lines\n.*chat .*\n> $/m);
  const chats = new Set(seen.match(/chat \S+$/gm));
  expect(
    seen.match(/chat \S+$/gm)?.length === 2 && chats.size === 1,
    `these are ${chats.size} conversations`,
  );
  terminal.press('Up');
  await terminal.see(/^> of two lines$/m);
  terminal.press('Left', 'C-c');
  await terminal.see(/^> of two lines\n> $/m);
  terminal.paste('never\nasked');
  await terminal.see(/^asked$/m);
  terminal.press('C-c');
  await terminal.see(/^asked\n> $/m);
  ask(LONG);
  await watchGrowth(stage);
  terminal.press('C-c');
  await terminal.see(/^The answer was cancelled; .*\n> $/m);
  await expectCancelled(stage, 'function-url', before);
  terminal.press('C-d');
  await terminal.see(AT_SHELL);
  const codes = [await terminal.readCode()];
  await terminal.run(CALL);
  await terminal.see(/^> $/m);
  terminal.press('C-c');
  await terminal.see(AT_SHELL);
  codes.push(await terminal.readCode());
  expect(codes.join() === '0,130', `it ended with ${codes}`);
  return 'two questions in one conversation, Ctrl-C comes back, Ctrl-D ends with 0 and Ctrl-C with 130';
}

async function checkPipes({ terminal }: Stage, folder: string): Promise<string> {
  await terminal.run(`${CALL} "$(printf 'ECHO \\033[31mred')"`);
  await terminal.see(/^␛\[31mred$/m);
  await terminal.run(
    `${CALL} "$(printf 'ECHO \\033[31mred')" > answer; ${CALL} models | cat > models; echo over`,
  );
  await terminal.see(/^over$/m);
  const [answer, models] = ['answer', 'models'].map((name) => readFileSync(join(folder, name), 'utf8'));
  expect(answer === '\u001b[31mred\n', `bytes were changed: ${JSON.stringify(answer)}`);
  expect(/^MODEL/.test(models ?? '') && !models?.includes('\u001b'), `models: ${models}`);
  return 'a terminal sees ␛, a file the bytes, and a pipe no colours';
}

async function checkHelp({ terminal }: Stage): Promise<string> {
  const lines: number[] = [];
  for (const command of ['--help', 'help chat', 'chats --help']) {
    await terminal.run(`${CALL} ${command}; echo ov""er`);
    const joined = await terminal.see(/^over$/m);
    const widest = Math.max(...joined.split('\n').map((line) => line.trimEnd().length));
    expect(widest <= 80, `${command} is ${widest} columns wide`);
    lines.push(joined.trim().split('\n').length);
  }
  return `${lines.join(', ')} lines of at most 80 columns`;
}

async function main() {
  const startedAt = performance.now();
  const folder = mkdtempSync(join(tmpdir(), 'terminal-'));
  const scripts = { call: `node ${resolve('scripts/call.ts')}` };
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, scripts }));
  const bedrock = await startBedrockSimulator();
  const gateway = await start({ AWS_ENDPOINT_URL_BEDROCK_RUNTIME: bedrock.url });
  const terminal = openTerminal(folder, {
    HOME: folder,
    PS1: 'shell$ ',
    PATH: `${dirname(process.execPath)}:${process.env['PATH']}`,
    LANG: 'C.UTF-8',
    FUNCTION_URL: gateway.functionUrl,
    REST_URL: gateway.url,
    WEBSOCKET_URL: gateway.socketUrl,
    GATEWAY_API_KEY: KEY,
    AWS_ACCESS_KEY_ID: ACCESS_KEY.accessKeyId,
    AWS_SECRET_ACCESS_KEY: ACCESS_KEY.secretAccessKey,
  });
  const stage = { terminal, gateway, bedrock };
  for (const door of DOORS) await check(`Ctrl-C through ${door}`, () => checkCtrlC(stage, door));
  await check('a whole answer', () => checkWhole(stage));
  await check('a conversation', () => checkConversation(stage));
  await check('control characters', () => checkPipes(stage, folder));
  await check('the help', () => checkHelp(stage));
  terminal.close();
  await stop(gateway);
  await bedrock.close();
  rmSync(folder, { recursive: true });
  console.log(`${Math.round((performance.now() - startedAt) / 1000)} s`);
}

if (spawnSync('tmux', ['-V']).error) console.log('skipped: no tmux');
else await main();
process.exitCode = failures > 0 ? 1 : 0;
