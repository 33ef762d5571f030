# One image for every process; the command says which: worker, trainer, gateway.
FROM python:3.11-slim-bookworm AS build

WORKDIR /build
RUN python -m venv /opt/freshet
ENV PATH=/opt/freshet/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1 UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
COPY requirements-bootstrap.lock requirements.lock ./
RUN pip install --no-cache-dir --require-hashes -r requirements-bootstrap.lock \
    && uv pip install --no-cache --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY recsys recsys
COPY encoders encoders
COPY streams streams
COPY gateway gateway
RUN uv pip install --no-cache --no-build-isolation --no-deps .


FROM python:3.11-slim-bookworm

# OpenMP, which faiss and implicit compute with.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-create-home --home-dir /data freshet \
    && install -d -o freshet -g freshet /data
COPY --from=build /opt/freshet /opt/freshet
COPY --chmod=755 deploy/freshet-ready /usr/local/bin/freshet-ready
ENV PATH=/opt/freshet/bin:$PATH PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1 FRESHET_DATA_DIR=/data
USER freshet
WORKDIR /data
VOLUME /data
ENTRYPOINT ["freshet"]
CMD ["--help"]
