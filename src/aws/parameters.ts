/**
 * The settings of a running gateway: read again as they age, taken whole or not at all, and kept when there are no better ones. Where
 * they are read from it does not know.
 */
import { type Clock, within } from '../chat/clock.ts';
import { GatewayError } from '../chat/errors.ts';
import {
  type Deployed,
  parseSettings,
  type Settings,
  SettingsError,
  settingsTable,
} from '../chat/settings.ts';

/** All parameters there are, read in one go. */
export type Reading = {
  /** Setting name → value. */
  readonly texts: ReadonlyMap<string, string>;
  /** When any of them was last changed, in milliseconds since the epoch; 0 when there are none. */
  readonly changedAt: number;
};

/** Rejects when they cannot be read. */
export type ReadParameters = () => Promise<Reading>;

/** What an operator should know of. Names of settings only: their values may be anybody's. */
export type SettingsNotice =
  | {
      readonly type: 'settings-taken';
      readonly changed: readonly string[];
      readonly unknown: readonly string[];
    }
  | {
      readonly type: 'settings-refused';
      readonly names: readonly string[];
      readonly sentences: readonly string[];
    }
  | {
      readonly type: 'settings-unreadable';
      readonly cause: unknown;
      readonly ageSeconds: number | undefined;
    };

export type LiveSettingsParts = {
  readonly read: ReadParameters;
  readonly deployed: Deployed;
  /** How old a set may grow, in milliseconds; each gets up to a fifth more or less, so that processes do not read in step. */
  readonly maxAgeMs: number;
  readonly clock: Clock;
  /** 0 to 1, as `Math.random`. */
  readonly random: () => number;
  readonly notify: (notice: SettingsNotice) => void;
  readonly onTaken: (settings: Settings) => void;
};

/** How long one reading may take. Not longer than `SETTLE_MS`: see there. */
const READING_MS = 2_000;

/**
 * For how long nothing must have changed before a set is taken: whoever changes several settings does it one by one, and a reading of
 * several pages may fall in between.
 */
const SETTLE_MS = 2_000;

/** How often a set that keeps changing is read before it is left for later. */
const SETTLE_ROUNDS = 5;

/** How long a request waits for a set that should be read anew. */
const FOREGROUND_MS = 1_000;

/** How long the last good set serves when none can be read. */
const LONGEST_MS = 3_600_000;

/** A process without any settings tries for so long, and then says so for a moment before it tries again. */
const COLD_MS = 5_000;
const FIRST_PAUSE_MS = 100;
const COLD_REST_MS = 1_000;

/** A reading and when it began. */
type Dated = Reading & { readonly readAt: number };

type Current = {
  readonly texts: Reading['texts'];
  readonly settings: Settings;
  readonly confirmedAt: number;
  readonly lifetimeMs: number;
};

export type LiveSettings = {
  /**
   * The settings of the moment; a request asks once and keeps what it got.
   *
   * @throws `config_unavailable`, `config_invalid`
   */
  load(): Promise<Settings>;
  /** How long ago they were last known to be what is stored; nothing before the first were taken. */
  ageSeconds(): number | undefined;
};

export function createLiveSettings(parts: LiveSettingsParts): LiveSettings {
  const { read, deployed, maxAgeMs, clock, random, notify, onTaken } = parts;
  let current: Current | undefined;
  let flight: { readonly startedAt: number; readonly landed: Promise<void> } | undefined;
  let restUntil = 0;
  let coldError: GatewayError | undefined;

  const jitter = (ms: number) => ms * (0.8 + 0.4 * random());

  const take = ({ texts, readAt }: Dated) => {
    const changed = changedNames(current?.texts ?? new Map(), texts);
    if (current && changed.length === 0) return;
    const settings = parseSettings(texts, deployed);
    current = { texts, settings, confirmedAt: readAt, lifetimeMs: jitter(maxAgeMs) };
    onTaken(settings);
    notify({ type: 'settings-taken', changed, unknown: unknownNames(texts) });
  };

  const ageSeconds = () => current && Math.round((clock.now() - current.confirmedAt) / 1000);

  const noteFailure = (error: unknown) => {
    if (error instanceof SettingsError) {
      const names = [...new Set(error.problems.map(({ name }) => name))];
      notify({ type: 'settings-refused', names, sentences: error.problems.map(({ sentence }) => sentence) });
      return;
    }
    notify({ type: 'settings-unreadable', cause: error, ageSeconds: ageSeconds() });
  };

  const readFirst = async (pauseMs: number, latest: number): Promise<void> => {
    try {
      take(await readSettled(read, clock));
    } catch (error) {
      if (!(error instanceof SettingsError) && clock.now() + pauseMs < latest) {
        await sleep(jitter(pauseMs), clock);
        return await readFirst(pauseMs * 2, latest);
      }
      noteFailure(error);
      coldError = error instanceof SettingsError ? invalid(error) : unavailable(error);
      restUntil = clock.now() + COLD_REST_MS;
    }
  };

  const readAgain = async (last: Current) => {
    try {
      const reading = await readSettled(read, clock);
      // Should this set be refused, the last good one stays, and grows no older: it is known what the newest looks like.
      current = { ...last, confirmedAt: reading.readAt, lifetimeMs: jitter(maxAgeMs) };
      take(reading);
    } catch (error) {
      noteFailure(error);
      restUntil = clock.now() + jitter(maxAgeMs / 2);
    }
  };

  const refresh = () => {
    if (!flight) {
      const landed = (
        current ? readAgain(current) : readFirst(FIRST_PAUSE_MS, clock.now() + COLD_MS)
      ).finally(() => (flight = undefined));
      flight = { startedAt: clock.now(), landed };
    }
    return flight;
  };

  const load = async () => {
    const isResting = clock.now() < restUntil;
    if (!current && !isResting) await refresh().landed;
    if (!current) throw coldError ?? unavailable(undefined);
    const ageMs = clock.now() - current.confirmedAt;
    if (ageMs >= current.lifetimeMs / 2 && !isResting) {
      const { startedAt, landed } = refresh();
      const patienceMs = startedAt + FOREGROUND_MS - clock.now();
      if (ageMs >= current.lifetimeMs && patienceMs > 0) await within(patienceMs, landed, clock);
    }
    if (clock.now() - current.confirmedAt > LONGEST_MS) throw unavailable(undefined);
    return current.settings;
  };

  return { load, ageSeconds };
}

const unavailable = (cause: unknown) =>
  new GatewayError('config_unavailable', 'The gateway cannot read its settings at the moment.', {
    retryAfterSeconds: 5,
    cause,
  });

const invalid = (cause: unknown) =>
  new GatewayError('config_invalid', 'The gateway’s settings are not valid; its log names them.', { cause });

async function readInTime(read: ReadParameters, clock: Clock): Promise<Dated> {
  const readAt = clock.now();
  const reading = await within(READING_MS, read(), clock);
  if (reading) return { ...reading, readAt };
  // So late only when the process was frozen meanwhile, as Lambda does between two requests.
  if (clock.now() - readAt > 2 * READING_MS) return await readInTime(read, clock);
  throw new Error('The parameters took too long to come.');
}

/** Reads until nothing has changed for `SETTLE_MS`. */
async function readSettled(read: ReadParameters, clock: Clock): Promise<Dated> {
  let lastChange: number | undefined;
  for (let round = 0; round < SETTLE_ROUNDS; round++) {
    if (round > 0) await sleep(SETTLE_MS, clock);
    const reading = await readInTime(read, clock);
    // The second condition is for a clock that is behind that of the parameters.
    const isSettled = reading.changedAt <= reading.readAt - SETTLE_MS || reading.changedAt === lastChange;
    if (isSettled) return reading;
    lastChange = reading.changedAt;
  }
  throw new Error('The parameters keep changing.');
}

const sleep = (ms: number, clock: Clock) => new Promise<void>((resolve) => clock.after(ms, resolve));

type Texts = Reading['texts'];

const changedNames = (before: Texts, after: Texts): string[] =>
  [...new Set([...before.keys(), ...after.keys()])].filter((name) => before.get(name) !== after.get(name));

const unknownNames = (texts: Texts): string[] =>
  [...texts.keys()].filter((name) => !settingsTable.some((setting) => setting.name === name));
