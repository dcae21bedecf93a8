/**
 * For each room of src/, the rooms from which it may import. The entry point comes first. A room may import only from
 * rooms below it, so there are no cycles. docs/architecture.md describes the rooms.
 */
const MAY_IMPORT = {
  'main.ts': 'cli',
  cli: 'app config backfill verify webhook-admin publish store module async errors.ts',
  app: 'config webhook proxy web auth backfill sweep publish build resolve queue requests rate-limit redis gitlab store http-client io async errors.ts',
  config: 'proxy auth resolve redis store http-client module errors.ts',
  verify: 'build resolve gitlab store module io async errors.ts',
  backfill: 'sweep publish queue auth resolve redis gitlab store http-client module io async errors.ts',
  'webhook-admin': 'gitlab',
  webhook: 'queue auth io',
  proxy: 'requests store http-client module io async errors.ts',
  web: '',
  sweep: 'queue rate-limit gitlab store module io async errors.ts',
  publish: 'build resolve queue requests redis gitlab store module io errors.ts',
  build: 'resolve rate-limit gitlab module io async errors.ts',
  queue: 'redis gitlab async errors.ts',
  requests: 'redis module async',
  resolve: 'gitlab module io async errors.ts',
  gitlab: 'http-client io async errors.ts',
  auth: 'http-client module',
  'rate-limit': 'redis errors.ts',
  redis: 'http-client async errors.ts',
  store: 'gitlab http-client module io async errors.ts',
  module: 'async errors.ts',
  'http-client': 'async',
  io: 'async errors.ts',
  async: 'errors.ts',
  'errors.ts': '',
};

const rooms = Object.keys(MAY_IMPORT);
const pathOf = (room) => (room.endsWith('.ts') ? `^src/${room.replace('.', '\\.')}$` : `^src/${room}/`);

export default {
  forbidden: [
    ...Object.entries(MAY_IMPORT).map(([room, allowed]) => ({
      name: `${room} imports from its own room and: ${allowed || 'no other'}`,
      severity: 'error',
      from: { path: pathOf(room) },
      to: { path: '^src/', pathNot: [pathOf(room), ...allowed.split(' ').filter(Boolean).map(pathOf)] },
    })),
    {
      name: 'every file belongs to a room of the table',
      severity: 'error',
      from: { path: '^src/', pathNot: rooms.map(pathOf) },
      to: {},
    },
    { name: 'no cycle', severity: 'error', from: { path: '^src/' }, to: { circular: true } },
    {
      name: 'imports lead to a file',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^\\.', couldNotResolve: true },
    },
  ],
  options: {
    parser: 'swc',
    tsPreCompilationDeps: true,
    includeOnly: '^src/',
    enhancedResolveOptions: { extensions: ['.ts'] },
  },
};
