/**
 * Why a model does not answer, and what to do about it. Bedrock has few names for many reasons, so what it writes decides; none of it is
 * shown. All wordings are quoted from where somebody met them, which is named beside them.
 */
import { type Finding, hasNoAddress, isLate, nameOf, problem, warning } from './finding.ts';
import { explainCredentials } from './sign-in.ts';

type Asked = { readonly model: string; readonly region: string };
type Reason = {
  /** In the name of the error and its message. */
  readonly pattern: RegExp;
  /** Only a warning where the gateway, under roles of its own, may succeed. */
  readonly isWarning?: boolean;
  readonly sentence: (asked: Asked) => string;
};

/** The first that fits is the reason: what Marketplace refuses, for one, also says "is not authorized to perform". */
const reasons: readonly Reason[] = [
  {
    // 404 "Model use case details have not been submitted for this account. Fill out the Anthropic use case details form before using
    // the model. If you have already filled out the form, try again in 15 minutes.", and FTUFormNotFilled:
    // https://docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html
    pattern: /FTUFormNotFilled|use case details/i,
    sentence: () =>
      "needs Anthropic's use-case form, once per account: in the Bedrock console, open Model catalog, choose the model, submit the form, and try again after 15 minutes",
  },
  {
    // 403 "Model access is denied due to INVALID_PAYMENT_INSTRUMENT: A valid payment instrument must be provided."
    pattern: /PAYMENT_INSTRUMENT/i,
    sentence: () =>
      'is sold through AWS Marketplace, which does not take the payment method of the account: add a card in the Billing console (for an organization, in its management account), and try again after 15 minutes',
  },
  {
    // 403 "Model access is denied due to IAM user or service role is not authorized to perform the required AWS Marketplace actions
    // (aws-marketplace:ViewSubscriptions, aws-marketplace:Subscribe) to enable access to this model. […] try again after 5 minutes."
    // https://github.com/aws-samples/anthropic-on-aws/pull/252, https://github.com/anthropics/claude-code/issues/9681
    pattern: /marketplace|subscription/i,
    sentence: () =>
      'needs an agreement with AWS Marketplace, once per account: have somebody with aws-marketplace:Subscribe and aws-marketplace:ViewSubscriptions run npm run doctor, and try again after 15 minutes',
  },
  {
    // 403 "User: … is not authorized to perform: bedrock:InvokeModel on resource: arn:aws:bedrock:::foundation-model/… with an explicit
    // deny in a service control policy: …" https://github.com/aws-samples/sample-badgers/issues/33
    pattern: /service control policy/i,
    sentence: ({ model }) =>
      `is forbidden by a service control policy of the organization: have it allow bedrock:InvokeModel ${
        model.startsWith('global.')
          ? 'also where aws:RequestedRegion is "unspecified"'
          : 'in every region that the model may run in'
      }, or choose another model`,
  },
  {
    // 403 "User: … is not authorized to perform: bedrock:InvokeModel on resource: … because no identity-based policy allows the
    // bedrock:InvokeModel action" https://github.com/aws-samples/semantic-search-with-amazon-opensearch/issues/43
    pattern: /is not authorized to perform/i,
    isWarning: true,
    sentence: () =>
      'was not checked: your principal may not bedrock:InvokeModel, though the functions will have a role that may',
  },
  {
    // 400 "Invocation of model ID … with on-demand throughput isn’t supported. Retry your request with the ID or ARN of an inference
    // profile that contains this model." https://github.com/anthropics/anthropic-sdk-python/issues/894
    pattern: /on-demand throughput/i,
    sentence: ({ model, region }) =>
      `is only to be had through an inference profile: in DEFAULT_MODEL and ALLOWED_MODELS, put ${profilesOf(model, region)} in its place`,
  },
  {
    // 404 "This model version has reached the end of its life.", "Access denied. This Model is marked by provider as Legacy and you have
    // not been actively using the model in the last 30 days." https://github.com/gsd-build/gsd-2/issues/5425
    pattern: /end of its life|as legacy/i,
    sentence: () => 'has been withdrawn: choose a newer one',
  },
  {
    // 400 "Access to Anthropic models is not allowed from unsupported countries, regions, or territories."
    pattern: /unsupported countries/i,
    sentence: () => 'may not be used from the country you are in, says its provider: choose another model',
  },
  {
    // 400 "This action doesn't support the model that you provided. Try again with a supported text or chat model."
    pattern: /support the model/i,
    sentence: () => 'cannot be talked to (it may be for embeddings, speech or pictures): choose a chat model',
  },
  {
    // 400 "The provided model identifier is invalid." https://github.com/iOfficeAI/AionCore/pull/377, also for a model that is not in the
    // region: https://github.com/aws-samples/amazon-bedrock-workshop/issues/340. 404 for what once was there.
    pattern:
      /model identifier is invalid|resolve the foundation model|not supported in this region|ResourceNotFound/i,
    sentence: ({ region }) =>
      `is no model in ${region}: look for a typing error, or choose a model or inference profile of that region`,
  },
  {
    // 400 "Operation not allowed" https://github.com/kirodotdev/Kiro/issues/11191, and 403 BadCScoreException, FTU apart: the account
    // itself is not let in, often because it is new.
    pattern:
      /operation not allowed|BadCScore|account is not authorized|(available|enabled) for this account/i,
    sentence: () =>
      'is withheld from this account as a whole, as can be with a new one: ask AWS Support to enable Bedrock',
  },
  {
    // 403 "You don't have access to the model with the specified model ID." https://github.com/langgenius/dify/issues/2829
    pattern: /have access to the model/i,
    sentence: ({ region }) =>
      `is not enabled: open it in the Bedrock console's Model catalog in ${region} and request access`,
  },
  {
    // 429 "Too many tokens per day, please wait before trying again.": new accounts have daily quotas of nearly nothing.
    pattern: /tokens per day/i,
    isWarning: true,
    sentence: () =>
      "has used up the account's tokens of the day: ask for more under Service Quotas, Amazon Bedrock",
  },
  {
    pattern: /Throttling|TooManyRequests/,
    isWarning: true,
    sentence: () => 'was asked too often just now: run npm run doctor again in a minute',
  },
  {
    pattern: /ServiceUnavailable|InternalServer|ModelNotReady|ModelTimeout|ModelError/,
    isWarning: true,
    sentence: () =>
      'does not answer at the moment, for reasons of its own: run npm run doctor again in a minute',
  },
];

/** For an error that asking a model ended in. */
export function explainModelFailure(error: unknown, model: string, region: string): Finding {
  const name = nameOf(error);
  if (isLate(error))
    return warning('model', `${model} did not answer in time; run npm run doctor again in a minute.`);
  if (hasNoAddress(error))
    return problem(
      'model',
      `${model} cannot be asked: Bedrock is not to be had in ${region}; set REGION_ID to a region that has it, such as us-east-1.`,
    );
  const signIn = explainCredentials(name, region);
  if (signIn) return problem('model', `${model} cannot be asked. ${signIn}`);
  const text = error instanceof Error ? `${name} ${error.message}` : name;
  const reason = reasons.find(({ pattern }) => pattern.test(text));
  if (!reason)
    return problem(
      'model',
      `${model} does not answer, for a reason that is not known here (${name}); try it in the Bedrock console.`,
    );
  const found = reason.isWarning ? warning : problem;
  return found('model', `${model} ${reason.sentence({ model, region })} (${name}).`);
}

/** The prefixes of inference profiles that models have, by where a region lies. */
const GEOGRAPHIES: readonly (readonly [string, string])[] = [
  ['us-gov-', 'us-gov'],
  ['us-', 'us'],
  ['eu-', 'eu'],
  ['ap-northeast-1', 'jp'],
  ['ap-southeast-2', 'au'],
  ['ap-', 'apac'],
];

/** Which of them a model has only Bedrock knows: `global.x or us.x`. */
function profilesOf(model: string, region: string): string {
  const own = GEOGRAPHIES.find(([prefix]) => region.startsWith(prefix))?.[1];
  return ['global', own].flatMap((prefix) => (prefix ? `${prefix}.${model}` : [])).join(' or ');
}
