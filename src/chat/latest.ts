/**
 * The latest values by their keys: when there are too many, the oldest goes.
 */

export type Latest<Value> = {
  get(key: string): Value | undefined;
  set(key: string, value: Value): void;
};

export function createLatest<Value>(max: number): Latest<Value> {
  const values = new Map<string, Value>();
  return {
    get: (key) => values.get(key),
    set(key, value) {
      const [oldest] = values.keys();
      if (values.size >= max && oldest !== undefined) values.delete(oldest);
      values.set(key, value);
    },
  };
}
