/**
 * The app that `npm run synth` and `npm run deploy` run: reads the deployment's variables, makes the stack, and holds it against AWS's rules.
 */
import { App } from 'aws-cdk-lib';
import { addChecks } from './checks.ts';
import { ConfigError, loadConfig } from './config.ts';
import { GatewayStack } from './gateway-stack.ts';

function main() {
  const app = new App();
  new GatewayStack(app, loadConfig());
  addChecks(app);
}

try {
  main();
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
