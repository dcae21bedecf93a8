import { Retry } from '../errors.ts';

/**
 * GitLab responded with success, but its response is damaged or contradicts another response. This is usually temporary,
 * but it is not an outage: if it concerns one tag again and again, a person has to look at it.
 */
export class InvalidResponse extends Retry {}
