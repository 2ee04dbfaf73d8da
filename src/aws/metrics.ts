/**
 * Metrics in CloudWatch's embedded metric format: fields that make a line of the log count.
 * @see https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
 */
import { METRICS_NAMESPACE } from '../names.ts';

/** Fields to add to a line of the log. `now` is in milliseconds since the epoch. */
export const metric = (name: string, value: number, unit: 'Count' | 'Seconds', now: number): object => ({
  _aws: {
    Timestamp: now,
    CloudWatchMetrics: [
      { Namespace: METRICS_NAMESPACE, Dimensions: [[]], Metrics: [{ Name: name, Unit: unit }] },
    ],
  },
  [name]: value,
});
