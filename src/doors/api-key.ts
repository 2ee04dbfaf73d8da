/**
 * Where a caller's API key may stand.
 */

type HeaderValues = Readonly<Record<string, string | undefined>>;

/**
 * The key in `x-api-key`, else the one in `Authorization: Bearer`, which is where OpenAI's clients put it. Header names are
 * compared without regard to case, as API Gateway hands them on the way they were sent.
 */
export function findApiKey(headers: HeaderValues): string | undefined {
  const byName = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value?.trim()]));
  const bearer = /^Bearer +(\S+)$/i.exec(byName.get('authorization') ?? '')?.[1];
  return byName.get('x-api-key') || bearer;
}
