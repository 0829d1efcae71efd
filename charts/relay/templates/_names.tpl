{{/* The name of every object is the release's. */}}
{{- define "relay.name" -}}
{{- .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- end -}}

{{/* The cluster-wide objects have the namespace in their name: two relays of two installations can stand in one cluster. */}}
{{- define "relay.clusterName" -}}
{{- printf "%s-%s" .Release.Namespace (include "relay.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "relay.secret" -}}
{{- .Values.existingSecret | default (include "relay.name" .) -}}
{{- end -}}

{{- define "relay.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "relay.labels" -}}
{{ include "relay.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}
