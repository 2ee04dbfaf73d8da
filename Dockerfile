# A function as an image, for ECR_REST_REPOSITORY (ENTRY=http) and ECR_WEBSOCKET_REPOSITORY (ENTRY=websocket, for its three functions).
# `npm run image` makes the bundle and calls this; nothing runs while it is built, so it needs no emulator of another processor.
FROM public.ecr.aws/lambda/nodejs:24
ARG ENTRY
COPY build/${ENTRY}/ ${LAMBDA_TASK_ROOT}/
CMD ["index.handler"]
