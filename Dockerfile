# syntax=docker/dockerfile:1

FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build

FROM node:24-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund
# The list of the packages in the image (CycloneDX), for vulnerability scanners.
RUN npm sbom --package-lock-only --omit=dev --sbom-format=cyclonedx > sbom.cdx.json

FROM node:24-slim
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="modpress" \
      org.opencontainers.image.description="Push a tag, get a module: publishes Go modules from GitLab as a GOPROXY" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

WORKDIR /app
# Root owns the code, so the service can read its own code but cannot change it.
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY --from=dependencies /app/sbom.cdx.json ./
COPY package.json LICENSE ./
RUN install --directory --owner=10001 --group=10001 --mode=0750 /data

ENV NODE_ENV=production \
    STORE=file:/data
# The user is a number, because Kubernetes cannot check a name (runAsNonRoot).
USER 10001:10001
VOLUME ["/data"]
EXPOSE 8080

# This checks liveness, not readiness, because an outage of the store or of Redis must not cause a restart. Node sends
# the request, because the image does not contain curl.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["node", "-e", "fetch(`http://127.0.0.1:${(process.env.LISTEN || ':8080').split(':').pop()}/-/healthz`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]

# Node is process 1, handles SIGTERM itself and starts no child process, so no init process (tini) is needed.
# modpress finishes its running jobs before it stops. Allow a minute for this.
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "/app/dist/main.js"]
CMD ["serve"]
