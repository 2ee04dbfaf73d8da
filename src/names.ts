/**
 * The names that code and infrastructure must agree on: environment variables, and later tables and parameters.
 */

/** Read by `wire.ts`, set by the deployment. Every one is optional. */
export const environment = {
  defaultModel: 'DEFAULT_MODEL',
  /** Comma-separated model ids; `*` stands for any run of characters. */
  allowedModels: 'ALLOWED_MODELS',
  /** Comma-separated origins, or `*`. */
  allowedOrigins: 'ALLOWED_ORIGINS',
} as const;

export const SERVICE_NAME = 'llm-gateway';
