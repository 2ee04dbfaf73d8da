/**
 * What to do about AWS credentials, for every script that meets them.
 */

const SIGN_IN = 'run aws sso login, or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY';

/**
 * A sentence when the error that goes by this name means that credentials are missing, too old or wrong; nothing when it does not.
 * @see https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
 */
export function explainCredentials(name: string, region: string): string | undefined {
  if (/^(CredentialsProvider|TokenProvider)Error$/.test(name))
    return `There are no AWS credentials, or the sign-in that they come from has ended; ${SIGN_IN}.`;
  if (/^(ExpiredToken|RequestExpired)/.test(name)) return `The AWS credentials have expired; ${SIGN_IN}.`;
  if (/^(InvalidClientTokenId|UnrecognizedClient|SignatureDoesNotMatch|InvalidSignature)/.test(name))
    return `AWS does not take these credentials in ${region} (${name}), for they are wrong or the account has not enabled the region; ${SIGN_IN}.`;
  return undefined;
}
