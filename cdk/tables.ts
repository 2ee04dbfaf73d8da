/**
 * The tables: on demand, restorable to any second of the last 35 days, with rows that expire. None has a fixed name, so a stack that is
 * deployed again never meets the tables that an earlier one left behind.
 */
import { type CfnElement, RemovalPolicy } from 'aws-cdk-lib';
import { AttributeType, Billing, TableV2 } from 'aws-cdk-lib/aws-dynamodb';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import { TABLE_KEY, TABLE_TTL, type Table, type TableShape, tables } from '../src/names.ts';
import type { Config } from './config.ts';

/** What the gateway does to each table, and no more. */
const ROW_ACTIONS = ['GetItem', 'PutItem', 'UpdateItem', 'DeleteItem'];
const actions: Readonly<Record<Table, readonly string[]>> = {
  answers: ['BatchGetItem', 'PutItem', 'UpdateItem', 'DeleteItem'],
  chats: [...ROW_ACTIONS, 'Query', 'BatchWriteItem'],
  connections: ROW_ACTIONS,
  requests: ROW_ACTIONS,
  usage: ROW_ACTIONS,
};

/** They hold what is going on and nothing that outlives it. */
const PASSING: readonly Table[] = ['connections', 'requests'];

export class Tables extends Construct {
  readonly byName: ReadonlyMap<Table, TableV2>;

  constructor(scope: Construct, id: string, config: Config) {
    super(scope, id);
    const names = Object.keys(tables) as Table[];
    this.byName = new Map(names.map((name) => [name, this.createTable(name, config)]));
  }

  /** Variable → name of the table. */
  get environment(): Record<string, string> {
    const entries = [...this.byName].map(([name, { tableName }]) => [tables[name].variable, tableName]);
    return Object.fromEntries(entries);
  }

  /** `AnswersTable` and so on. */
  get outputs(): Record<string, string> {
    const toOutput = (name: Table) => `${name[0]?.toUpperCase()}${name.slice(1)}Table`;
    return Object.fromEntries([...this.byName].map(([name, { tableName }]) => [toOutput(name), tableName]));
  }

  /** What a function needs that works with these tables. */
  statements(...names: readonly Table[]): PolicyStatement[] {
    return names.map((name) => {
      const arn = this.find(name).tableArn;
      const { index }: TableShape = tables[name];
      return new PolicyStatement({
        actions: actions[name].map((action) => `dynamodb:${action}`),
        resources: index ? [arn, `${arn}/index/${index.name}`] : [arn],
      });
    });
  }

  find(name: Table): TableV2 {
    const table = this.byName.get(name);
    if (!table) throw new Error(`There is no table ${name}.`);
    return table;
  }

  private createTable(name: Table, { retainData }: Config): TableV2 {
    const { sortKey, index }: TableShape = tables[name];
    const isKept = retainData && !PASSING.includes(name);
    const table = new TableV2(this, name, {
      partitionKey: { name: TABLE_KEY, type: AttributeType.STRING },
      ...(sortKey && { sortKey: { name: sortKey.name, type: attributeTypes[sortKey.type] } }),
      ...(index && {
        globalSecondaryIndexes: [
          {
            indexName: index.name,
            partitionKey: { name: index.key, type: AttributeType.STRING },
            sortKey: { name: index.sortKey, type: AttributeType.NUMBER },
          },
        ],
      }),
      timeToLiveAttribute: TABLE_TTL,
      billing: Billing.onDemand(),
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      deletionProtection: isKept,
      removalPolicy: isKept ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
    });
    // The logical id is part of the physical name, and a table with another id would be another table: it must never change.
    (table.node.defaultChild as CfnElement).overrideLogicalId(name);
    return table;
  }
}

const attributeTypes = { N: AttributeType.NUMBER, S: AttributeType.STRING };
