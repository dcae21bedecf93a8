import { createHmac, randomUUID } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { buffer } from 'node:stream/consumers';
import type { Hook } from './hook.ts';

/** One call of a webhook, successful or not. */
export interface Delivery {
  readonly url: string;
  /** The value of `X-Gitlab-Event`: `Tag Push Hook`, `Push Hook` or `System Hook`. */
  readonly event: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The body that was sent, as text. */
  readonly body: string;
  readonly at: Date;
  /** The status of the response, or undefined if there was no response. In this case, `error` contains the reason. */
  readonly status: number | undefined;
  readonly error: string | undefined;
}

/** The content of a webhook call. `trigger` is GitLab's name for the kind of event, such as `tag_push_hooks`. */
export interface Message {
  readonly trigger: string;
  readonly payload: object;
  /** The idempotency key of an earlier delivery, if this delivery repeats it. */
  readonly repeats?: string;
}

const eventNames: Readonly<Record<string, string>> = { tag_push_hooks: 'Tag Push Hook', push_hooks: 'Push Hook' };

/**
 * Calls webhooks over HTTP. Each is called once, without a retry, as GitLab does (app/services/web_hook_service.rb).
 */
export class HookDelivery {
  readonly #instanceUrl: string;
  readonly #timeoutMs: number;
  readonly #abort = new AbortController();
  readonly #underWay = new Set<Promise<unknown>>();
  readonly #deliveries: Delivery[] = [];
  #lastEvent = 0;

  /** `instanceUrl` is the value of `X-Gitlab-Instance`, the address without the relative URL. */
  constructor(instanceUrl: string, timeoutMs: number) {
    this.#instanceUrl = instanceUrl;
    this.#timeoutMs = timeoutMs;
  }

  get deliveries(): readonly Delivery[] {
    return this.#deliveries;
  }

  /** Makes `settled` wait for work that results in deliveries. */
  track(work: Promise<unknown>): void {
    const tracked = work.finally(() => this.#underWay.delete(tracked));
    this.#underWay.add(tracked);
  }

  /** Resolves when all deliveries are finished. */
  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  /**
   * Calls a webhook, and records the delivery. `force`, which a test and a resend use, also calls a disabled webhook.
   * Without `force`, resolves to undefined if the webhook is disabled.
   */
  async send(hook: Hook, message: Message, force = false): Promise<Delivery | undefined> {
    if (!force && hook.alertStatus !== 'executable') return undefined;
    const body = JSON.stringify(message.payload);
    const headers = this.#headers(hook, message, body);
    const at = new Date();
    const { url } = hook.settings;
    const answer = await this.#post(hook, headers, body);
    const delivery: Delivery = {
      url,
      event: headers['X-Gitlab-Event'] ?? '',
      headers,
      body,
      at,
      status: answer.status,
      error: answer.error,
    };
    this.#deliveries.push(delivery);
    if (delivery.status !== undefined && delivery.status < 400) hook.succeeded();
    else hook.failed();
    hook.events.unshift({
      id: ++this.#lastEvent,
      url,
      trigger: message.trigger,
      request_headers: { ...headers, ...(hook.settings.token === null ? {} : { 'X-Gitlab-Token': '[REDACTED]' }) },
      request_data: message.payload,
      response_headers: answer.headers,
      response_body: answer.body,
      execution_duration: (Date.now() - at.getTime()) / 1000,
      response_status: answer.status === undefined ? 'internal error' : `${answer.status}`,
      created_at: at.toISOString(),
    });
    return delivery;
  }

  /** Aborts running deliveries. */
  async close(): Promise<void> {
    this.#abort.abort(new Error('GitLab is shutting down'));
    await Promise.allSettled(this.#underWay);
  }

  #headers(hook: Hook, message: Message, body: string): Record<string, string> {
    const { token, signing_token: signingToken } = hook.settings;
    const key = message.repeats ?? randomUUID();
    const headers: Record<string, string> = {
      'Content-Type': 'application/json',
      'User-Agent': 'GitLab/19.0.1-ee',
      'Idempotency-Key': key,
      'X-Gitlab-Event': hook.scope.kind === 'system' ? 'System Hook' : (eventNames[message.trigger] ?? message.trigger),
      'X-Gitlab-Webhook-UUID': randomUUID(),
      'X-Gitlab-Instance': this.#instanceUrl,
      'X-Gitlab-Event-UUID': randomUUID(),
    };
    if (token !== null) headers['X-Gitlab-Token'] = token;
    if (signingToken !== null) {
      const timestamp = `${Math.floor(Date.now() / 1000)}`;
      const secret = Buffer.from(signingToken.replace(/^whsec_/, ''), 'base64');
      const signature = createHmac('sha256', secret).update(`${key}.${timestamp}.${body}`).digest('base64');
      headers['webhook-id'] = key;
      headers['webhook-timestamp'] = timestamp;
      headers['webhook-signature'] = `v1,${signature}`;
    }
    return headers;
  }

  async #post(hook: Hook, headers: Record<string, string>, body: string): Promise<Answer> {
    const url = new URL(hook.settings.url);
    const signal = AbortSignal.any([AbortSignal.timeout(this.#timeoutMs), this.#abort.signal]);
    const options = {
      method: 'POST',
      headers: { ...headers, Accept: '*/*', 'Content-Length': Buffer.byteLength(body), Connection: 'close' },
      signal,
      ...(url.protocol === 'https:' ? { rejectUnauthorized: hook.settings.enable_ssl_verification } : {}),
    };
    try {
      return await new Promise<Answer>((resolve, reject) => {
        const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
        const request = send(url, options, (response) => {
          const answered = Object.entries(response.headers).map(([name, value]) => [name, String(value)]);
          const answer = {
            status: response.statusCode,
            headers: Object.fromEntries(answered) as Record<string, string>,
            error: undefined,
          };
          buffer(response).then((bytes) => resolve({ ...answer, body: bytes.toString().slice(0, 8192) }), reject);
        });
        request.once('error', reject);
        request.end(body);
      });
    } catch (error) {
      const reason: unknown = signal.aborted ? signal.reason : error;
      return {
        status: undefined,
        headers: {},
        body: '',
        error: reason instanceof Error ? reason.message : String(reason),
      };
    }
  }
}

interface Answer {
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly error: string | undefined;
}
