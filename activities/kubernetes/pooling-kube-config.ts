import { isDeepStrictEqual } from 'node:util';
import { KubeConfig, type RequestContext } from '@kubernetes/client-node';

type Dispatcher = Parameters<RequestContext['setDispatcher']>[0];
type DispatcherOptions = ReturnType<KubeConfig['createDispatcherOptions']>;

/**
 * Keeps its connections. The library's own makes a pool of them for each call, so that each one pays for a TLS handshake
 * (2.0.1, `applySecurityAuthentication`). Credentials that are other ones, as an exec plugin renews them, get a pool of their own.
 */
export class PoolingKubeConfig extends KubeConfig {
  private options: DispatcherOptions | undefined;
  private pool: Dispatcher | undefined;

  override createDispatcherOptions(
    ...args: Parameters<KubeConfig['createDispatcherOptions']>
  ): DispatcherOptions {
    const options = super.createDispatcherOptions(...args);
    if (!isDeepStrictEqual(options, this.options)) {
      this.options = options;
      this.pool = undefined;
    }
    return options;
  }

  override async applySecurityAuthentication(context: RequestContext): Promise<void> {
    // Set in one go with the options of the same call, so that no other call's come between.
    const setDispatcher = (made: Dispatcher) => {
      this.pool ??= made;
      context.setDispatcher(this.pool);
    };
    await super.applySecurityAuthentication(
      Object.create(context, { setDispatcher: { value: setDispatcher } }) as RequestContext,
    );
  }
}
