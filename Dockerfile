# syntax=docker/dockerfile:1

FROM node:20-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build

FROM node:20-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:20-slim
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="modpress" \
      org.opencontainers.image.description="Push a tag, get a module: publishes Go modules from GitLab as a GOPROXY" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

WORKDIR /app
# Owned by root: the service can read its own code and not change it.
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY package.json LICENSE ./
RUN install --directory --owner=10001 --group=10001 --mode=0750 /data

ENV NODE_ENV=production \
    STORE=file:/data
# By number, so that Kubernetes can tell that it is not root (runAsNonRoot).
USER 10001:10001
VOLUME ["/data"]
EXPOSE 8080

# Alive, not ready: an outage of the store or of Redis is no reason to restart. Node asks, since the image has no curl.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["node", "-e", "fetch(`http://127.0.0.1:${(process.env.LISTEN || ':8080').split(':').pop()}/-/healthz`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]

# Node is process 1 and handles SIGTERM itself, and no child process is ever started that would have to be reaped:
# no init (tini) is needed. Running jobs are finished first, so give a stop a minute.
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "/app/dist/main.js"]
CMD ["serve"]
