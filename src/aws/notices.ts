/**
 * What no caller is told of, but whoever runs the gateway: lines of the log, and metrics that alarms go by.
 */
import type { Notice } from '../chat/attempts.ts';
import type { MemoryNotice } from '../chat/conversation.ts';
import type { CacheNotice } from '../chat/lookup.ts';
import type { MetricName } from '../names.ts';
import { OpenSearchError } from './opensearch.ts';
import type { SettingsNotice } from './parameters.ts';

type Write = (message: string, fields: Readonly<Record<string, unknown>>) => void;

type Log = { readonly info: Write; readonly warn: Write; readonly error: Write };

type Meter = { readonly count: (name: MetricName) => void };

export function logNotice(logger: Log, notice: Notice | CacheNotice | MemoryNotice, meter: Meter) {
  switch (notice.type) {
    case 'field-refused': {
      const { omit, oneOf } = notice.quirk;
      logger.warn('model refuses fields', { model: notice.model, omit, one_of: oneOf });
      return;
    }
    case 'fell-back':
      logger.warn('fell back to another model', { from: notice.from, to: notice.to, code: notice.code });
      return;
    default: {
      const { sentence, metric } = mishaps[notice.type];
      logger.warn(sentence, { cause: namesOf(notice.cause), ...detailOf(notice.cause) });
      meter.count(metric);
    }
  }
}

const mishaps = {
  'cache-unavailable': { sentence: 'answer cache passed by', metric: 'CacheUnavailable' },
  'answer-altered': { sentence: 'learned answer was altered, and is deleted', metric: 'AnswerAltered' },
  'answer-not-learned': { sentence: 'answer not learned', metric: 'AnswerNotLearned' },
  'turn-lost': { sentence: 'turn not kept', metric: 'TurnLost' },
  'similar-unavailable': { sentence: 'similar questions not searched', metric: 'SimilarUnavailable' },
  'question-not-indexed': { sentence: 'learned question not indexed', metric: 'SimilarUnavailable' },
} as const;

export function logSettingsNotice(logger: Log, notice: SettingsNotice, meter: Meter) {
  switch (notice.type) {
    case 'settings-taken':
      logger.info('settings taken', { changed: notice.changed });
      if (notice.unknown.length > 0) logger.warn('settings unknown', { settings: notice.unknown });
      return;
    case 'settings-refused':
      logger.error('settings refused', { settings: notice.names, problems: notice.sentences });
      meter.count('SettingsRefused');
      return;
    case 'settings-unreadable':
      logger.error('settings unreadable', { cause: namesOf(notice.cause), age_seconds: notice.ageSeconds });
      meter.count('SettingsUnreadable');
  }
}

/** Who may not search and what is not there look alike by name. */
const detailOf = (thrown: unknown) =>
  thrown instanceof OpenSearchError ? { status: thrown.status, type: thrown.type } : {};

/** What was thrown, outermost first. No messages: they may quote. */
const namesOf = (thrown: unknown): string[] =>
  thrown instanceof Error ? [thrown.name, ...namesOf(thrown.cause)] : [];
