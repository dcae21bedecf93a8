# syntax=docker/dockerfile:1

# MinIO is available only as source code, so this file builds it. The tests use the same version.
FROM golang:1.26 AS build
RUN CGO_ENABLED=0 go install github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c
RUN install --directory --owner=10002 --group=10002 --mode=0750 /data

FROM busybox:1.37
COPY --from=build /go/bin/minio /usr/local/bin/minio
COPY --from=build --chown=10002:10002 /data /data
USER 10002:10002
VOLUME ["/data"]
EXPOSE 9000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["wget", "-q", "-O", "/dev/null", "http://127.0.0.1:9000/minio/health/ready"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["minio"]
CMD ["server", "--quiet", "/data"]
