import type { Instance } from '../instance.ts';
import type { Access } from './access.ts';
import type { Pagination } from './pagination.ts';
import type { Present } from './present.ts';

/** The objects that all parts of the API share. */
export interface ApiContext {
  readonly instance: Instance;
  readonly access: Access;
  readonly pagination: Pagination;
  readonly present: Present;
}
