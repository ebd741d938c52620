/**
 * Names of an installation's configuration that runbooks speak of, so that a name that there is not is found when the runbook
 * is read and not when it is needed. Names only: the compiler reads no configuration. What is absent is not checked.
 */
export interface Installation {
  /** Roles that can be paged. */
  roles?: readonly string[];
  /** Escalation policies of pages. */
  policies?: readonly string[];
  /** Ids of the active people of each group of approvers. */
  groups?: Readonly<Record<string, readonly string[]>>;
  /** Namespaces of each cluster. */
  clusters?: Readonly<Record<string, readonly string[]>>;
  /** Sources of samples. */
  sources?: readonly string[];
  /** Channels that can be notified. */
  channels?: readonly string[];
  /** HTTP endpoints that can be called. */
  endpoints?: readonly string[];
  /** Whether there is a ticket system. */
  ticketing?: boolean;
  /** Whether changes can be proposed in Git. */
  pullRequests?: boolean;
}
