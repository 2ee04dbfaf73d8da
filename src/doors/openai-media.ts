/**
 * Images and documents that travel inside a request, as `data:` URLs. Other URLs are refused: nothing that a caller names is ever fetched.
 */
import type { ContentBlock, DocumentFormat, ImageFormat } from '../chat/request.ts';

type Media = Extract<ContentBlock, { type: 'image' | 'document' }>;

const imageFormats: ReadonlyMap<string, ImageFormat> = new Map([
  ['image/png', 'png'],
  ['image/jpeg', 'jpeg'],
  ['image/jpg', 'jpeg'],
  ['image/gif', 'gif'],
  ['image/webp', 'webp'],
]);

const documentFormats: ReadonlyMap<string, DocumentFormat> = new Map([
  ['application/pdf', 'pdf'],
  ['text/csv', 'csv'],
  ['application/msword', 'doc'],
  ['application/vnd.openxmlformats-officedocument.wordprocessingml.document', 'docx'],
  ['application/vnd.ms-excel', 'xls'],
  ['application/vnd.openxmlformats-officedocument.spreadsheetml.sheet', 'xlsx'],
  ['text/html', 'html'],
  ['text/plain', 'txt'],
  ['text/markdown', 'md'],
]);

/** Completes `… must be`. */
export const imageUrl = `a data: URL in base64 of ${[...imageFormats.keys()].join(', ')}; no other URL is fetched`;
export const fileData = `a data: URL in base64 of an image or of ${[...documentFormats.keys()].join(', ')}`;

export function toImage(url: string): Media | undefined {
  const { mediaType, bytes } = parseDataUrl(url) ?? {};
  const format = imageFormats.get(mediaType ?? '');
  return format && bytes ? { type: 'image', format, bytes } : undefined;
}

/** `filename` is what the model is told of it. */
export function toFile(url: string, filename: string): Media | undefined {
  const { mediaType, bytes } = parseDataUrl(url) ?? {};
  const format = documentFormats.get(mediaType ?? '');
  return format && bytes ? { type: 'document', format, name: toName(filename), bytes } : toImage(url);
}

/** `data:<media type>[;<parameter>];base64,<bytes>` @see https://www.rfc-editor.org/rfc/rfc2397 */
function parseDataUrl(url: string) {
  const comma = url.indexOf(',');
  const [mediaType = '', ...parameters] = url.slice('data:'.length, comma).toLowerCase().split(';');
  const isBase64 = url.slice(0, 5).toLowerCase() === 'data:' && parameters.at(-1) === 'base64';
  const base64 = url.slice(comma + 1);
  if (!isBase64 || !/^[A-Za-z0-9+/]*={0,2}$/.test(base64)) return undefined;
  const bytes = Buffer.from(base64, 'base64');
  return bytes.length > 0 ? { mediaType, bytes } : undefined;
}

/** Bedrock takes no other characters in a document's name. */
function toName(filename: string): string {
  const stem = filename.replace(/\.[A-Za-z0-9]{1,5}$/, '');
  const plain = stem.replaceAll(/[^A-Za-z0-9()[\]-]+/g, ' ').trimStart();
  return plain.slice(0, 200).trimEnd() || 'document';
}
