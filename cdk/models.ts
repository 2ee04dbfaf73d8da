/**
 * What the functions may ask of Bedrock, made from the list of allowed models.
 *
 * A model that is reached through an inference profile needs the profile and the model in every region that the profile may choose;
 * a global profile needs, beside the model of the own region, one without a region.
 * @see https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-prereq.html
 * @see https://docs.aws.amazon.com/bedrock/latest/userguide/global-cross-region-inference.html
 */
import { Aws } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';

const ASK = ['bedrock:InvokeModel', 'bedrock:InvokeModelWithResponseStream'];

/** Prefix of a profile → the regions that it may choose. */
const geographies: Readonly<Record<string, string>> = {
  us: 'us-*',
  'us-gov': 'us-gov-*',
  ca: 'ca-*',
  eu: 'eu-*',
  apac: 'ap-*',
  jp: 'ap-northeast-*',
  au: 'ap-southeast-*',
};

type Place = { readonly region: string };

/** Statements that let through these models and no others; `*` in an id stands for any run of characters. */
export function modelStatements(models: readonly string[], place: Place): PolicyStatement[] {
  const resources = [...new Set(models.flatMap((model) => modelArns(model, place)))];
  const profiles = resources.filter((arn) => arn.includes('inference-profile/'));
  const guardrails = `arn:${Aws.PARTITION}:bedrock:${place.region}:${Aws.ACCOUNT_ID}:guardrail/*`;
  const tagged = profiles.filter((arn) => arn.includes('application-inference-profile/'));
  return [
    ...slices(resources).map(
      (slice, n) => new PolicyStatement({ sid: `Ask${n}`, actions: ASK, resources: slice }),
    ),
    // Which models stand behind a profile of the account's own only Bedrock knows.
    ...(tagged.length > 0 ? [throughProfiles(tagged)] : []),
    ...(profiles.length > 0
      ? [new PolicyStatement({ actions: ['bedrock:GetInferenceProfile'], resources: profiles })]
      : []),
    // Which guardrail it is, a setting says while the gateway runs.
    new PolicyStatement({ actions: ['bedrock:ApplyGuardrail'], resources: [guardrails] }),
  ];
}

/** Everything that has to be allowed for one id of the list. */
export function modelArns(model: string, { region }: Place): string[] {
  if (model.startsWith('arn:')) return [model];
  const own = `${bedrock}:${region}:${Aws.ACCOUNT_ID}`;
  const [prefix = '', ...rest] = model.split('.');
  const id = rest.join('.');
  const anywhere = geographies[prefix];
  if (prefix === 'global') return [`${own}:inference-profile/${model}`, modelIn(region, id), modelIn('', id)];
  if (anywhere) return [`${own}:inference-profile/${model}`, modelIn(anywhere, id)];
  // A pattern that begins with * lets profiles through as well.
  if (prefix.includes('*')) {
    return [`${own}:inference-profile/${model}`, modelIn('*', model), modelIn('', model)];
  }
  return [modelIn(region, model)];
}

const bedrock = `arn:${Aws.PARTITION}:bedrock`;

const modelIn = (region: string, id: string) => `${bedrock}:${region}::foundation-model/${id}`;

const throughProfiles = (arns: readonly string[]) =>
  new PolicyStatement({
    actions: ASK,
    resources: [modelIn('*', '*')],
    conditions: { StringLike: { 'bedrock:InferenceProfileArn': arns } },
  });

/** A policy takes 6,144 characters, and CDK moves whole statements from one to the next. */
const SLICE = 12;

const slices = (resources: readonly string[]): string[][] =>
  Array.from({ length: Math.ceil(resources.length / SLICE) }, (_, n) =>
    resources.slice(n * SLICE, (n + 1) * SLICE),
  );
