/**
 * Metrics in CloudWatch's embedded metric format: fields that make a line of the log count.
 * @see https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
 */
import { METRICS_NAMESPACE } from '../names.ts';

/** Fields that make a line of the log count once. `now` is in milliseconds since the epoch. */
export const countMetric = (name: string, now: number): object => ({
  _aws: {
    Timestamp: now,
    CloudWatchMetrics: [
      { Namespace: METRICS_NAMESPACE, Dimensions: [[]], Metrics: [{ Name: name, Unit: 'Count' }] },
    ],
  },
  [name]: 1,
});
