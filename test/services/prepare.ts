import findServices from './global.ts';

/** `npm run services`: the services that the tests need, found or built, before any test runs. */
await findServices();
