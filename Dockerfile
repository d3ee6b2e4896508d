# Release Captain as an image: no root, no package installer, no writable file outside /data and /tmp.
#
#   docker build -t release-captain .
#   docker run --read-only --tmpfs /tmp -v captain:/data -v ./captain.yml:/etc/captain/captain.yml:ro \
#     --env-file captain.env -p 8080:8080 release-captain

FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN ["python", "-m", "venv", "/opt/captain"]
COPY requirements.lock ./
RUN ["/opt/captain/bin/pip", "install", "--no-compile", "--require-hashes", "-r", "requirements.lock"]
COPY pyproject.toml README.md LICENSE ./
COPY bot ./bot
COPY handlers ./handlers
COPY runbooks ./runbooks
COPY drills ./drills
RUN ["/opt/captain/bin/pip", "install", "--no-compile", "--no-deps", "--no-build-isolation", "."]
# The running image cannot write bytecode, so it is made here; the async Kubernetes client is never imported.
RUN /opt/captain/bin/pip uninstall --yes --quiet setuptools pip \
    && /opt/captain/bin/python -m compileall -q -j 0 -x 'kubernetes/aio' /opt/captain/lib \
    && install -d -o 10001 -g 10001 /data

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="release-captain" \
      org.opencontainers.image.description="A self-hosted ChatOps bot for incidents and releases" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/opt/captain/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    CAPTAIN_CONFIG=/etc/captain/captain.yml \
    CAPTAIN_CAPTAIN__LISTEN=0.0.0.0:8080
COPY --from=build /opt/captain /opt/captain
COPY --from=build --chown=10001:10001 /data /data
# From here captain.yml's own default, sqlite:///data/bot.db, lies on the volume.
WORKDIR /
VOLUME ["/data"]
EXPOSE 8080
USER 10001:10001
HEALTHCHECK --interval=15s --timeout=4s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=3)"]
ENTRYPOINT ["captain"]
CMD ["serve"]
