# Every image that docker-compose.yml builds, one target each: web, worker, proxy, storage.
# Not built by the tests, which have no container engine; docs/operators.md says what they do check.

# --- What all programs of ours share -------------------------------------------------------------
FROM python:3.11-slim-bookworm AS base

# The folders exist before the volumes do: a new named volume takes over their owner.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin stylearena \
    && install -d -m 700 -o stylearena -g stylearena /var/lib/stylearena /var/lib/weights

WORKDIR /app

# The root file system is read-only where this runs (docker-compose.yml): all that is written goes
# to ARENA_VAR, to the weights and to /tmp.
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONPATH=/app:/app/platform \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DJANGO_SETTINGS_MODULE=arena.settings \
    ARENA_VAR=/var/lib/stylearena \
    XDG_CACHE_HOME=/var/lib/weights

# --- Installed, once without PyTorch and once with it --------------------------------------------
FROM base AS web-installed

COPY . .
# The cache is kept by the builder, not in an image: a rebuild downloads nothing twice.
RUN --mount=type=cache,target=/root/.cache/pip scripts/install web \
    && .venv/bin/python -m compileall -q platform competitions submissions evaluation styletransfer

FROM web-installed AS worker-installed

# Another build of PyTorch, from that package index. Its CPU build is a tenth of the size of the
# default one with CUDA; workers without a GPU need no other.
ARG TORCH_INDEX_URL=
RUN --mount=type=cache,target=/root/.cache/pip scripts/install worker

# --- Web server, sweeper and the preparing step: nothing that could open a checkpoint ------------
FROM base AS web

# pg_dump is for backups; Debian 12's, 15, copies the server that docker-compose.yml names.
# No version is named: Debian keeps only the one with the latest security fixes.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends postgresql-client \
    && rm -rf /var/lib/apt/lists/*
COPY --from=web-installed /app /app
USER 10001:10001
CMD ["python", "-m", "django", "check", "--deploy"]

# --- Workers -------------------------------------------------------------------------------------
FROM base AS worker

# bubblewrap makes the sandbox that generators run in; Debian 12 has 0.8, the oldest that will do.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends bubblewrap \
    && rm -rf /var/lib/apt/lists/*
COPY --from=worker-installed /app /app
USER 10001:10001
CMD ["python", "-m", "django", "sandbox_check"]

# --- What others make, without root --------------------------------------------------------------
FROM caddy:2.11.4-alpine AS proxy

# Caddy's own binary carries a capability that a container without capabilities may not start.
RUN cat /usr/bin/caddy >/usr/local/bin/caddy \
    && chmod 755 /usr/local/bin/caddy \
    && chown -R 10001:10001 /data /config
COPY deploy/Caddyfile /etc/caddy/Caddyfile
USER 10001:10001
CMD ["/usr/local/bin/caddy", "run", "--config", "/etc/caddy/Caddyfile"]

FROM chrislusf/seaweedfs:4.48 AS storage

COPY deploy/storage /usr/local/bin/storage
RUN mkdir -p /data && chown -R 10001:10001 /data
USER 10001:10001
ENTRYPOINT []
CMD ["/usr/local/bin/storage"]
