# One image for every program of the platform: web, workers, sweeper and the preparing step.
# Not built by the tests, which have no container engine; docs/operators.md says what they do check.
FROM python:3.11-slim-bookworm

# bubblewrap makes the sandbox that generators run in; Debian 12 has 0.8, the oldest that will do.
# pg_dump is for backups; Debian 12's, 15, copies the server that docker-compose.yml names.
# No version is named: Debian keeps only the one with the latest security fixes.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends bubblewrap postgresql-client \
    && rm -rf /var/lib/apt/lists/*

# The folders exist before the volumes do: a new named volume takes over their owner.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin stylearena \
    && install -d -m 700 -o stylearena -g stylearena /var/lib/stylearena /var/lib/weights

WORKDIR /app
COPY . .

# Another build of PyTorch, from that package index. Its CPU build is a tenth of the size of the
# default one with CUDA; workers without a GPU need no other.
ARG TORCH_INDEX_URL=
# The cache is kept by the builder, not in the image: a rebuild downloads nothing twice.
RUN --mount=type=cache,target=/root/.cache/pip scripts/install demo \
    && .venv/bin/python -m compileall -q platform competitions submissions evaluation styletransfer

# The root file system is read-only where this runs (docker-compose.yml): all that is written goes
# to ARENA_VAR, to the weights and to /tmp.
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONPATH=/app:/app/platform \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DJANGO_SETTINGS_MODULE=arena.settings \
    ARENA_VAR=/var/lib/stylearena \
    XDG_CACHE_HOME=/var/lib/weights

USER 10001:10001
CMD ["python", "-m", "django", "check", "--deploy"]
